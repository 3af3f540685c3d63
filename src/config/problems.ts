/** Where a setting was given. */
export type Place =
  | { readonly source: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly source: 'environment'; readonly name: string }
  | { readonly source: 'flag'; readonly flag: string }
  | { readonly source: 'default' };

/** One thing that is wrong with what the user gave. Never holds the value of a collector's option: it may be a secret. */
export interface Problem {
  readonly place: Place;
  /** Full key such as `web.listen_address`, '' when the problem is not about a key. */
  readonly key: string;
  readonly text: string;
}

/** `exporterd.yaml:3:5`, `EXPORTERD_WEB_LISTEN_ADDRESS`, `--web.listen-address`; '' for a default. */
export function placeText(place: Place): string {
  switch (place.source) {
    case 'file':
      return `${place.file}:${place.line}:${place.column}`;
    case 'environment':
      return place.name;
    case 'flag':
      return place.flag;
    case 'default':
      return '';
  }
}

/** Files by line, so that they are corrected from top to bottom; then the rest as it came. */
function inReadingOrder(problems: readonly Problem[]): readonly Problem[] {
  const line = ({ place }: Problem): number => (place.source === 'file' ? place.line + place.column / 1e6 : Number.MAX_SAFE_INTEGER);
  return [...problems].sort((a, b) => line(a) - line(b));
}

/** A key up to what no key has: behind that stands a value that a missing blank has made part of it, secrets included. */
function shownKey(key: string): string {
  const [legal = ''] = /^[\w.-]*/.exec(key) ?? [];
  return legal === key ? key : `${legal}...`;
}

function problemText(problem: Problem): string {
  return [placeText(problem.place), shownKey(problem.key), problem.text].filter((part) => part !== '').join(': ');
}

/** Usage or configuration is wrong: exit code 2. `text` is what to print on stderr, every problem on a line of its own. */
export class UsageError extends Error {
  readonly problems: readonly Problem[];
  readonly text: string;
  constructor(program: string, problems: readonly Problem[]) {
    const lines = [...new Set(inReadingOrder(problems).map(problemText))].map((line) => `${program}: error: ${line}\n`);
    const text = `${lines.join('')}${program}: try --help\n`;
    super(text.trimEnd());
    this.name = 'UsageError';
    this.problems = problems;
    this.text = text;
  }
}
