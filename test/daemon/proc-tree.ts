import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const FILES = ['stat', 'meminfo', 'loadavg', 'vmstat', 'sys/fs/file-nr', 'self/net/dev', 'net/dev'];

/** A procfs of copies of this machine's files, which stand still. Removed when the test process ends. */
export function procTree(): string {
  const root = mkdtempSync(join(tmpdir(), 'exporterd-proc-'));
  process.once('exit', () => rmSync(root, { recursive: true, force: true }));
  for (const file of FILES) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), readFileSync(`/proc/${file}`));
  }
  return root;
}

/** Puts a FIFO in a file's place: opening it blocks for as long as nobody writes. */
export function block(root: string, file: string): string {
  const fifo = join(root, file);
  rmSync(fifo);
  execFileSync('mkfifo', [fifo]);
  return fifo;
}
