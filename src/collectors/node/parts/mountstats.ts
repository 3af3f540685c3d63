import { Binding } from '../../../collect/binding.ts';
import { absent, OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family, type MetricType } from '../../../model/family.ts';
import type { BoundNumber, ReplaySteps, Token } from '../../../readers/readers.ts';
import { parseProblem } from '../file-error.ts';
import type { OptionalSource } from '../optional-source.ts';
import { ParsedSource } from '../parsed-source.ts';
import type { NodePart, PartScope } from '../part.ts';
import { RunChain } from '../run-chain.ts';

const MOUNT = ['export', 'mountaddr', 'protocol'];

function nfs(name: string, help: string, labels: readonly string[] = [], type: MetricType = 'counter'): Family {
  return family(`node_mountstats_nfs_${name}`, type, help, [...MOUNT, ...labels]);
}

const INFO = nfs('mountpoint_info', 'Where an export is mounted, as label.', ['mountpoint'], 'gauge');
const AGE = nfs('age_seconds_total', 'How long ago an export was mounted, in seconds.');

/** Numbers of the line `bytes:`. */
const BYTES: readonly Family[] = [
  nfs('read_bytes_total', 'Bytes read by read(2) and its like.'),
  nfs('write_bytes_total', 'Bytes written by write(2) and its like.'),
  nfs('direct_read_bytes_total', 'Bytes read past the page cache (O_DIRECT).'),
  nfs('direct_write_bytes_total', 'Bytes written past the page cache (O_DIRECT).'),
  nfs('total_read_bytes_total', 'Bytes read from the server.'),
  nfs('total_write_bytes_total', 'Bytes written to the server.'),
  nfs('read_pages_total', 'Pages read by mmap(2) or directly.'),
  nfs('write_pages_total', 'Pages written by mmap(2) or directly.'),
];

function event(name: string, help: string): Family {
  return nfs(`event_${name}_total`, help);
}

/** Numbers of the line `events:`; undefined for one that the peer does not print. */
const EVENTS: readonly (Family | undefined)[] = [
  event('inode_revalidate', 'How often cached attributes of a file were checked.'),
  event('dnode_revalidate', 'How often cached names of a folder were checked.'),
  event('data_invalidate', 'How often the cached data of a file was thrown away.'),
  event('attribute_invalidate', 'How often the cached attributes of a file were thrown away.'),
  event('vfs_open', 'How often files and folders were opened.'),
  event('vfs_lookup', 'How often names were looked up in a folder.'),
  event('vfs_access', 'How often permissions were checked.'),
  event('vfs_update_page', 'How often pages were updated, and perhaps written.'),
  event('vfs_read_page', 'How often single pages were read.'),
  event('vfs_read_pages', 'How often groups of pages were read.'),
  event('vfs_write_page', 'How often single pages were written.'),
  event('vfs_write_pages', 'How often groups of pages were written.'),
  event('vfs_getdents', 'How often names of a folder were listed.'),
  event('vfs_setattr', 'How often attributes of a file were set.'),
  event('vfs_flush', 'How often what is to be written was sent to the server.'),
  event('vfs_fsync', 'How often files were synchronised (fsync(2)).'),
  event('vfs_lock', 'How often parts of files were locked.'),
  event('vfs_file_release', 'How often files were closed and forgotten.'),
  undefined,
  event('truncation', 'How often files were made shorter.'),
  event('write_extension', 'How often a file grew because of a write behind its end.'),
  event('silly_rename', 'How often an open file was deleted and got another name instead.'),
  event('short_read', 'How often the server gave less data than it was asked for.'),
  event('short_write', 'How often the server took less data than it was given.'),
  event('jukebox_delay', 'How often the server said that the data is on slow media (JUKEBOX).'),
  event('pnfs_read', 'Reads over pNFS.'),
  event('pnfs_write', 'Writes over pNFS.'),
];

function transport(name: string, help: string, type: MetricType = 'counter'): Family {
  return nfs(`transport_${name}`, help, ['transport'], type);
}

/** Numbers of a line `xprt: tcp`; those of other protocols are moved to these places. Undefined for one that the peer does not print. */
const TRANSPORT: readonly (Family | undefined)[] = [
  undefined,
  transport('bind_total', 'How often a transport was bound to a port of its own.'),
  transport('connect_total', 'How often a transport was connected.'),
  undefined,
  transport('idle_time_seconds', 'How long ago a transport was used last, in seconds.', 'gauge'),
  transport('sends_total', 'Requests sent.'),
  transport('receives_total', 'Answers received.'),
  transport('bad_transaction_ids_total', 'Answers to requests that there were not.'),
  undefined,
  transport('backlog_queue_total', 'Sum of the requests that waited for a slot, taken at each request.'),
  transport('maximum_rpc_slots', 'Most requests under way at once.', 'gauge'),
  transport('sending_queue_total', 'Sum of the requests that waited to be sent, taken at each request.'),
  transport('pending_queue_total', 'Sum of the requests that waited for an answer, taken at each request.'),
];
const IDLE_TIME = 4;

function operation(name: string, help: string): Family {
  return nfs(`operations_${name}`, help, ['operation']);
}

/** Numbers of a line `READ: ...` below `per-op statistics`; the last three are milliseconds. */
const OPERATION: readonly Family[] = [
  operation('requests_total', 'Requests for an operation.'),
  operation('transmissions_total', 'How often requests for an operation were sent.'),
  operation('major_timeouts_total', 'How often requests for an operation ran into a long timeout.'),
  operation('sent_bytes_total', 'Bytes sent for an operation, headers included.'),
  operation('received_bytes_total', 'Bytes received for an operation, headers included.'),
  operation('queue_time_seconds_total', 'How long requests for an operation waited to be sent, in seconds.'),
  operation('response_time_seconds_total', 'How long the server took to answer requests for an operation, in seconds.'),
  operation('request_time_seconds_total', 'How long requests for an operation took from their making to their end, in seconds.'),
];
const FIRST_TIME = 5;

/** Times are taken modulo 2^53, as in the peer: a kernel may count backwards from 2^64, which a double cannot tell apart. */
const MODULUS = 2 ** 53;

/** How many numbers a transport line has, by version and protocol; RDMA may have more. */
const TRANSPORT_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['1.0 tcp', 10],
  ['1.0 udp', 7],
  ['1.1 tcp', 13],
  ['1.1 udp', 10],
  ['1.1 rdma', 20],
]);
const RDMA_MOST = 28;
/** UDP does not connect: three numbers are not there. */
const UDP_LACKS = [2, 3, 4];
/** RDMA has other numbers from here on, which the peer does not print. */
const RDMA_OWN = 10;

interface Transport {
  readonly protocol: string;
  /** By place in TRANSPORT; undefined counts as 0. */
  readonly numbers: readonly (Token | undefined)[];
}

/** One mount with statistics. */
interface Mount {
  readonly device: string;
  readonly point: string;
  /** Number of its line among all lines `device`. */
  readonly index: number;
  age: Token | undefined;
  bytes: readonly Token[];
  events: readonly Token[];
  readonly transports: Transport[];
  readonly operations: (readonly Token[])[];
}

type Problem = (expected: string) => Error;

function mountOf(words: readonly Token[], index: number, problem: Problem): Mount {
  const text = (i: number): string => words[i]?.text ?? '';
  if (text(2) !== 'mounted' || text(3) !== 'on' || text(5) !== 'with' || text(6) !== 'fstype' || words.length < 8)
    throw problem('"device NAME mounted on FOLDER with fstype TYPE"');
  return { device: text(1), point: text(4), index, age: undefined, bytes: [], events: [], transports: [], operations: [] };
}

function transportOf(words: readonly Token[], version: string, problem: Problem): Transport {
  const protocol = words[1]?.text ?? '';
  const given = words.slice(2);
  const wanted = TRANSPORT_NUMBERS.get(`${version} ${protocol}`);
  if (wanted === undefined) throw problem(`a transport of version 1.0 or 1.1 over tcp, udp or rdma, not ${JSON.stringify(`${version} ${protocol}`)}`);
  const isFit = protocol === 'rdma' ? given.length >= wanted && given.length <= RDMA_MOST : given.length === wanted;
  if (!isFit || given.some(({ at }) => at < 0)) throw problem(`${wanted} numbers`);
  const numbers: (Token | undefined)[] = protocol === 'rdma' ? given.slice(0, RDMA_OWN) : [...given];
  if (protocol === 'udp') numbers.splice(UDP_LACKS[0] ?? 0, 0, ...UDP_LACKS.map(() => undefined));
  return { protocol, numbers };
}

/** Mounts with statistics. Throws CollectError `parse`. */
function parseMounts(path: string, rows: readonly (readonly Token[])[]): readonly Mount[] {
  const mounts: Mount[] = [];
  let devices = 0;
  let mount: Mount | undefined;
  let version = '';
  let isPerOperation = false;
  for (const [line, words] of rows.entries()) {
    const problem: Problem = (expected) => parseProblem(path, line + 1, expected);
    const first = words[0]?.text ?? '';
    const numbers = (count: number): readonly Token[] => {
      if (words.length !== count + 1 || words.slice(1).some(({ at }) => at < 0)) throw problem(`${count} numbers`);
      return words.slice(1);
    };
    if (first === 'device') {
      const found = mountOf(words, devices++, problem);
      isPerOperation = false;
      mount = undefined;
      if (words.length === 8) continue;
      if (words[7]?.text !== 'nfs' && words[7]?.text !== 'nfs4') throw problem(`statistics of nfs or nfs4, not ${JSON.stringify(words[7]?.text)}`);
      version = (words[8]?.text ?? '').replace(/^statvers=/, '');
      mounts.push((mount = found));
    } else if (mount === undefined) continue;
    else if (isPerOperation) {
      if (words.length < OPERATION.length + 1 || words.slice(1).some(({ at }) => at < 0))
        throw problem(`the name of an operation and at least ${OPERATION.length} numbers`);
      mount.operations.push(words);
    } else if (first === 'per-op') isPerOperation = true;
    else if (first === 'age:') mount.age = numbers(1)[0];
    else if (first === 'bytes:') mount.bytes = numbers(BYTES.length);
    else if (first === 'events:') mount.events = numbers(EVENTS.length);
    else if (first === 'xprt:') mount.transports.push(transportOf(words, version, problem));
  }
  return mounts;
}

/** The server's address per line of mountinfo, '' where there is none. */
function parseAddresses(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const options = line.slice(line.lastIndexOf(' ') + 1).split(',');
      return options.findLast((option) => option.startsWith('addr='))?.slice('addr='.length) ?? '';
    });
}

class MountStatistics {
  readonly #source: OptionalSource;
  readonly #addresses: ParsedSource<readonly string[]>;
  readonly #binding = new Binding();
  readonly #chain = new RunChain();
  #constants: { slot: number; value: number }[] = [];
  /** Series of times, which are printed modulo 2^53. */
  #times: { slot: number; at: number; over: number }[] = [];
  #taken = new Set<number>();
  #isBound = false;

  constructor(scope: PartScope) {
    this.#source = scope.source(scope.proc('self/mountstats'));
    this.#addresses = new ParsedSource(scope.source(scope.proc('self/mountinfo'), { text: true }), parseAddresses);
  }

  /** The file that is missing. */
  collect(sheet: Sheet): string | undefined {
    const addresses = this.#addresses.read();
    if (addresses === undefined) return this.#addresses.path;
    if (this.#addresses.hasChanged) this.#isBound = false;
    const scan = this.#source.scan();
    if (scan === 'absent') return this.#source.path;
    const isKept = this.#chain.continues(sheet) && scan === 'same';
    if (!isKept || !this.#isBound) this.#bind(sheet, this.#source.rows(), addresses);
    const exact = this.#exactTimes();
    this.#binding.apply(this.#source.numbers, sheet);
    for (const { slot, value } of this.#constants) sheet.set(slot, value);
    for (const { slot, at, over } of this.#times) sheet.set(slot, this.#time(at, exact) / over);
    return undefined;
  }

  /** What `collect` of the next runs will do. */
  replay(steps: ReplaySteps): void {
    this.#addresses.replayMounts(steps);
    const times = this.#times.map(({ slot, at, over }): BoundNumber => ({ at, slot, mode: 'exact', over }));
    this.#source.replay(steps, [...this.#binding.bounds(), ...times]);
  }

  close(): void {
    this.#source.close();
    this.#addresses.close();
  }

  #time(at: number, exact: ReadonlyMap<number, string>): number {
    const value = this.#source.numbers[at] ?? 0;
    const text = exact.get(at);
    return text === undefined ? value : Number(BigInt.asUintN(53, BigInt(text)));
  }

  /** Texts of the numbers that a double does not hold exactly, by ordinal; there are none as long as the kernel counts forwards. */
  #exactTimes(): ReadonlyMap<number, string> {
    const exact = new Map<number, string>();
    const { numbers, count } = this.#source;
    let isLarge = false;
    for (let i = 0; i < count && !isLarge; i++) isLarge = (numbers[i] ?? 0) >= MODULUS;
    if (!isLarge) return exact;
    for (const { at, text } of this.#source.rows().flat()) if (at >= 0 && /^[0-9]+$/.test(text) && (numbers[at] ?? 0) >= MODULUS) exact.set(at, text);
    return exact;
  }

  #bind(sheet: Sheet, rows: readonly (readonly Token[])[], addresses: readonly string[]): void {
    this.#isBound = false;
    this.#binding.clear();
    this.#constants = [];
    this.#times = [];
    this.#taken = new Set();
    const seen = new Set<string>();
    for (const mount of parseMounts(this.#source.path, rows)) {
      const address = addresses[mount.index] ?? '';
      for (const { protocol } of mount.transports) {
        const labels = [mount.device, address, protocol];
        const info = sheet.slot(INFO, [mount.device, address, mount.point, protocol]);
        if (this.#take(info)) this.#constants.push({ slot: info, value: 1 });
        const key = labels.join(' ');
        // An export that is mounted twice has one set of figures.
        if (seen.has(key)) break;
        seen.add(key);
        this.#bindMount(sheet, mount, labels);
      }
    }
    this.#isBound = true;
  }

  #bindMount(sheet: Sheet, { age, bytes, events, transports, operations }: Mount, labels: readonly string[]): void {
    const [device = '', address = '', protocol = ''] = labels;
    this.#number(sheet, AGE, labels, age);
    for (const [i, family] of BYTES.entries()) this.#number(sheet, family, labels, bytes[i]);
    for (const [i, family] of EVENTS.entries()) if (family !== undefined) this.#number(sheet, family, labels, events[i]);
    for (const [index, { numbers }] of transports.entries()) {
      for (const [i, family] of TRANSPORT.entries()) {
        if (family !== undefined) this.#number(sheet, family, [device, address, protocol, String(index)], numbers[i], i === IDLE_TIME ? 1 : 0);
      }
    }
    for (const words of operations) {
      const name = (words[0]?.text ?? '').replace(/:$/, '');
      for (const [i, family] of OPERATION.entries()) this.#number(sheet, family, [device, address, name, protocol], words[i + 1], i >= FIRST_TIME ? 1000 : 0);
    }
  }

  /** @param over for times: what the number is divided by; 0 for other numbers */
  #number(sheet: Sheet, family: Family, labels: readonly string[], token: Token | undefined, over = 0): void {
    const slot = sheet.slot(family, labels);
    if (!this.#take(slot)) return;
    if (token === undefined) this.#constants.push({ slot, value: 0 });
    else if (over > 0) this.#times.push({ slot, at: token.at, over });
    else this.#binding.add(token.at, slot);
  }

  #take(slot: number): boolean {
    if (slot < 0 || this.#taken.has(slot)) return false;
    this.#taken.add(slot);
    return true;
  }
}

/** /proc/self/mountstats, which knows NFS only, and the addresses of the servers from mountinfo. All or nothing, as in the peer. */
export const part: NodePart = {
  name: 'mountstats',
  enabledByDefault: false,
  families: [INFO, AGE, ...BYTES, ...EVENTS, ...TRANSPORT, ...OPERATION].filter((family) => family !== undefined),
  open(scope) {
    const statistics = new MountStatistics(scope);
    return {
      collect(sheet) {
        const missing = statistics.collect(sheet);
        return missing === undefined ? OK : absent(`${missing} is missing`);
      },
      replay: (_, steps) => statistics.replay(steps),
      close: () => statistics.close(),
    };
  },
};
