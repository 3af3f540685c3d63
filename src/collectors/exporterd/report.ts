/** The Go client library prints nothing about the run itself. */
export function report(): void {}
