import { readdirSync, readFileSync, statSync } from 'node:fs';
import { CollectError, type HostSession, OK, type Outcome, type Scope } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { Source } from '../../readers/readers.ts';
import * as families from './families.ts';

export { report } from './report.ts';

const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;
/** /proc/self/stat, numbers behind the name in parentheses: ppid is the first. */
const UTIME = 10;
const STIME = 11;
const START_TICKS = 18;
const VSIZE = 19;
const RSS_PAGES = 20;

/** /proc/self/{stat,fd,limits,net/netstat}; always the real one, whatever root is set for kernel files. */
export function open(scope: Scope): HostSession {
  // The name may hold blanks and parentheses, but it is ours and stays; key columns cover `pid (node) S`.
  const stat = scope.readers.source('/proc/self/stat', { keys: 3 });
  const netstat = scope.readers.source('/proc/self/net/netstat', { keys: 1 });
  const limits = readLimits();
  const bootSeconds = readBootSeconds();
  let octets: readonly [receive: number, transmit: number] | undefined;
  return {
    collect(_part: string, sheet: Sheet): Outcome {
      stat.scan();
      const at = (ordinal: number): number => stat.numbers[ordinal] ?? Number.NaN;
      sheet.sample(families.cpuSeconds, [], (at(UTIME) + at(STIME)) / TICKS_PER_SECOND);
      sheet.sample(families.virtualBytes, [], at(VSIZE));
      sheet.sample(families.residentBytes, [], at(RSS_PAGES) * PAGE_BYTES);
      sheet.sample(families.startSeconds, [], at(START_TICKS) / TICKS_PER_SECOND + bootSeconds);
      sheet.sample(families.openFds, [], openFds());
      sheet.sample(families.maxFds, [], limits.files);
      sheet.sample(families.virtualMaxBytes, [], limits.addressBytes);
      if (netstat.scan()) octets = octetOrdinals(netstat);
      if (octets !== undefined) {
        sheet.sample(families.receiveBytes, [], netstat.numbers[octets[0]] ?? 0);
        sheet.sample(families.transmitBytes, [], netstat.numbers[octets[1]] ?? 0);
      }
      return OK;
    },
    close() {
      stat.close();
      netstat.close();
    },
  };
}

/** Where InOctets and OutOctets of the IpExt pair of lines stand among the numbers. */
function octetOrdinals(netstat: Source): readonly [number, number] | undefined {
  const [names, values] = netstat.rows().filter((row) => row[0]?.text === 'IpExt:');
  const ordinal = (name: string): number => values?.[names?.findIndex((token) => token.text === name) ?? -1]?.at ?? -1;
  const receive = ordinal('InOctets');
  const transmit = ordinal('OutOctets');
  return receive < 0 || transmit < 0 ? undefined : [receive, transmit];
}

/** Since Linux 6.2 the size of the directory is the number of descriptors; before, it has to be listed. */
function openFds(): number {
  return statSync('/proc/self/fd').size || readdirSync('/proc/self/fd').length - 1;
}

function readLimits(): { files: number; addressBytes: number } {
  const text = readFileSync('/proc/self/limits', 'utf8');
  const soft = (name: string): number => {
    const value = new RegExp(`^${name} +(\\S+)`, 'm').exec(text)?.[1];
    if (value === undefined) throw new CollectError('parse', '/proc/self/limits', `no line "${name}"`);
    return value === 'unlimited' ? Number.NaN : Number(value);
  };
  const address = soft('Max address space');
  // The Go library prints the limit as an unsigned number: no limit is 2^64 - 1.
  return { files: soft('Max open files'), addressBytes: Number.isNaN(address) ? 2 ** 64 : address };
}

function readBootSeconds(): number {
  const value = /^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1];
  if (value === undefined) throw new CollectError('parse', '/proc/stat', 'no line "btime"');
  return Number(value);
}
