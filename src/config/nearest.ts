/**
 * Edits between two words: insert, delete, replace, swap neighbours (optimal string alignment). Linear memory, words are
 * keys and flag names, so quadratic time is fine.
 */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) edits = Math.min(edits, (before[j - 2] ?? 0) + 1);
      row.push(edits);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
}

function normal(word: string): string {
  return word.toLowerCase().replace(/[^a-z0-9]+/g, '.');
}

/**
 * The known word that somebody who wrote `word` most likely meant, or undefined when nothing is close enough.
 * Case and the choice between `.`, `-` and `_` do not count; a word that only lacks its prefix (`listen_address` for
 * `web.listen_address`) is found by its end.
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const wanted = normal(word);
  let best: string | undefined;
  let bestEdits = Math.max(2, Math.floor(wanted.length / 4)) + 1;
  let byEnd: string | undefined;
  for (const candidate of known) {
    const other = normal(candidate);
    const edits = editDistance(wanted, other);
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
    if (byEnd === undefined && other.endsWith(`.${wanted}`)) byEnd = candidate;
  }
  if (bestEdits <= 1) return best;
  return byEnd ?? best;
}
