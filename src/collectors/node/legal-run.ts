/** A name made legal for a family: each run of other characters becomes one underscore, together with the underscores around it. */
export function legalRun(text: string): string {
  return text.replace(/_*[^0-9A-Za-z_]+_*/g, '_');
}
