/** Numbers of a kernel list such as `0-3,8,10-11`; undefined when it is not one. An empty text is an empty list. */
export function parseNumberList(text: string): readonly number[] | undefined {
  const numbers: number[] = [];
  if (text === '') return numbers;
  for (const range of text.split(',')) {
    const found = /^(\d+)(?:-(\d+))?$/.exec(range);
    if (found === null) return undefined;
    const first = Number(found[1]);
    const last = Number(found[2] ?? found[1]);
    // More than any kernel numbers: a damaged text must not fill the memory.
    if (last < first || last > 1_048_576) return undefined;
    for (let number = first; number <= last; number++) numbers.push(number);
  }
  return numbers;
}
