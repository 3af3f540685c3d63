import { CollectError, OK } from '../../../collect/contract.ts';
import type { Sheet } from '../../../collect/sheet.ts';
import { type Family, family } from '../../../model/family.ts';
import type { BoundNumber, ReplaySteps, Token } from '../../../readers/readers.ts';
import { parseProblem } from '../file-error.ts';
import { addressText } from '../ip-address.ts';
import { KeptSeries } from '../kept-series.ts';
import type { OptionalSource } from '../optional-source.ts';
import type { NodePart } from '../part.ts';

/** In the order of the words of the third line of ip_vs_stats. */
const STATISTICS = [
  family('node_ipvs_connections_total', 'counter', 'Connections that were balanced.'),
  family('node_ipvs_incoming_packets_total', 'counter', 'Packets received for balanced services.'),
  family('node_ipvs_outgoing_packets_total', 'counter', 'Packets sent by balanced services.'),
  family('node_ipvs_incoming_bytes_total', 'counter', 'Bytes received for balanced services.'),
  family('node_ipvs_outgoing_bytes_total', 'counter', 'Bytes sent by balanced services.'),
];
const DATA_LINE = 2;

/** Labels that may be chosen, in wire order. */
const LABELS = ['local_address', 'local_mark', 'local_port', 'proto', 'remote_address', 'remote_port'] as const;
type Label = (typeof LABELS)[number];
type Backend = Readonly<Record<Label, string>>;

/** Words of a line of ip_vs behind the address of the backend: `-> C0A85216:0CEA Tunnel 100 248 2`. */
const MEASURES = [
  [3, family('node_ipvs_backend_weight', 'gauge', 'Weight of a backend.', LABELS)],
  [4, family('node_ipvs_backend_connections_active', 'gauge', 'Connections of a backend that are established.', LABELS)],
  [5, family('node_ipvs_backend_connections_inactive', 'gauge', 'Connections of a backend that are being opened or closed.', LABELS)],
] as const;

/** Throws CollectError `parse` for a label that there is not. */
function chosenLabels(option: string): readonly Label[] {
  const wanted = new Set(option.split(',').filter((label) => label !== ''));
  const labels = LABELS.filter((label) => wanted.delete(label));
  if (wanted.size > 0)
    throw new CollectError('parse', 'option backend-labels of ipvs', `expected labels of ${LABELS.join(', ')}, not ${[...wanted].join(', ')}`);
  return labels;
}

/** A service's own address and port, or its mark. */
type Service = Pick<Backend, 'proto' | 'local_address' | 'local_port' | 'local_mark'>;
const NO_SERVICE: Service = { proto: '', local_address: '', local_port: '0', local_mark: '' };

/** `C0A80016:0CEA` or `[2620:0000:...:0001]:0CEA`. Undefined for anything else. */
function endpoint(text: string): { address: string; port: string } | undefined {
  const found = /^(?:([0-9A-Fa-f]{8})|\[([0-9A-Fa-f:]{39})\]):([0-9A-Fa-f]{4})$/.exec(text);
  if (found === null) return undefined;
  const bytes = Buffer.from((found[1] ?? found[2] ?? '').replaceAll(':', ''), 'hex');
  const address = addressText(bytes);
  return address === undefined ? undefined : { address, port: String(Number.parseInt(found[3] ?? '', 16)) };
}

/** Backends that the chosen labels do not tell apart are added up. */
interface Sum {
  readonly values: readonly string[];
  /** Ordinals in the scan, per row of MEASURES. */
  readonly at: readonly number[][];
  readonly series: readonly KeptSeries[];
}

/** net/ip_vs: services, each followed by its backends. */
class Backends {
  readonly #source: OptionalSource;
  readonly #labels: readonly Label[];
  readonly #families: readonly Family[];
  #sums: readonly Sum[] | undefined;

  constructor(source: OptionalSource, labels: readonly Label[]) {
    this.#source = source;
    this.#labels = labels;
    this.#families = MEASURES.map(([, { name, type, help }]) => family(name, type, help, labels));
  }

  collect(sheet: Sheet): void {
    const scan = this.#source.scan();
    if (scan === 'absent') throw new CollectError('read', this.#source.path, 'missing beside ip_vs_stats');
    if (scan === 'changed' || this.#sums === undefined) {
      this.#sums = undefined;
      this.#sums = this.#find();
    }
    const { numbers } = this.#source;
    for (const { at, series } of this.#sums) {
      for (const [i, ordinals] of at.entries()) {
        let sum = 0;
        for (const ordinal of ordinals) sum += numbers[ordinal] ?? 0;
        series[i]?.set(sheet, sum);
      }
    }
  }

  /** What `collect` of the next runs will do, where each series is of one backend. */
  replay(sheet: Sheet, steps: ReplaySteps): void {
    const bounds: BoundNumber[] = [];
    for (const { at, series } of this.#sums ?? []) {
      for (const [i, [ordinal, second]] of at.entries()) {
        if (second !== undefined) steps.until(Number.NEGATIVE_INFINITY);
        if (ordinal !== undefined) bounds.push({ at: ordinal, slot: series[i]?.slotIn(sheet) ?? -1 });
      }
    }
    this.#source.replay(
      steps,
      bounds.filter(({ slot }) => slot >= 0),
    );
  }

  close(): void {
    this.#source.close();
  }

  #find(): readonly Sum[] {
    const sums = new Map<string, Sum>();
    let service = NO_SERVICE;
    for (const [line, words] of this.#source.rows().entries()) {
      const first = words[0]?.text ?? '';
      const second = words[1]?.text ?? '';
      if (first === 'IP' || first === 'Prot' || second === 'RemoteAddress:Port') continue;
      if (first === 'FWM') service = { ...NO_SERVICE, proto: first, local_mark: second };
      else if (first === 'TCP' || first === 'UDP') {
        const { address, port } = this.#endpoint(line, second);
        service = { proto: first, local_address: address, local_port: port, local_mark: '' };
      } else if (first === '->' && words.length >= 6) {
        const { address, port } = this.#endpoint(line, second);
        this.#add(sums, { ...service, remote_address: address, remote_port: port }, line, words);
      }
    }
    return [...sums.values()];
  }

  #endpoint(line: number, text: string): { address: string; port: string } {
    const found = endpoint(text);
    if (found === undefined) throw parseProblem(this.#source.path, line + 1, `an address and a port in hexadecimal digits, not ${JSON.stringify(text)}`);
    return found;
  }

  #add(sums: Map<string, Sum>, backend: Backend, line: number, words: readonly Token[]): void {
    const values = this.#labels.map((label) => backend[label]);
    const key = values.join(' ');
    const sum = sums.get(key) ?? { values, at: MEASURES.map(() => []), series: this.#families.map((family) => new KeptSeries(family, values)) };
    for (const [i, [column, family]] of MEASURES.entries()) {
      const word = words[column];
      if (word === undefined || word.at < 0) throw parseProblem(this.#source.path, line + 1, `a number for ${family.name}, not ${JSON.stringify(word?.text)}`);
      sum.at[i]?.push(word.at);
    }
    sums.set(key, sum);
  }
}

/** /proc/net/ip_vs_stats, in hexadecimal numbers, and /proc/net/ip_vs. */
export const part: NodePart = {
  name: 'ipvs',
  enabledByDefault: true,
  families: [...STATISTICS, ...MEASURES.map(([, family]) => family)],
  options: [
    {
      flag: 'backend-labels',
      kind: 'string',
      default: 'local_address,local_port,remote_address,remote_port,proto,local_mark',
      help: 'labels of backend series; backends that they do not tell apart are added up',
    },
  ],
  open(scope) {
    const labels = chosenLabels(scope.options.text('backend-labels'));
    const statistics = scope.bound(scope.proc('net/ip_vs_stats'), { hex: true }, (rows, series) => {
      const words = rows[DATA_LINE] ?? [];
      if (words.length !== STATISTICS.length) throw series.problem(DATA_LINE, `${STATISTICS.length} hexadecimal numbers`);
      for (const [i, family] of STATISTICS.entries()) series.number(DATA_LINE, words[i], family);
    });
    const backends = new Backends(scope.source(scope.proc('net/ip_vs'), { keys: 2 }), labels);
    return {
      collect(sheet) {
        if (!statistics.collect(sheet)) return scope.missing(statistics);
        backends.collect(sheet);
        return OK;
      },
      replay(sheet, steps) {
        if (statistics.replay(steps)) backends.replay(sheet, steps);
      },
      close() {
        statistics.close();
        backends.close();
      },
    };
  },
};
