import { OK } from '../../../collect/contract.ts';
import type { CollectError } from '../../../collect/contract.ts';
import { type Family, family, type MetricType } from '../../../model/family.ts';
import { parseProblem } from '../file-error.ts';
import { floatOf } from '../go-float.ts';
import { ParsedSource } from '../parsed-source.ts';
import type { NodePart } from '../part.ts';

function drbd(name: string, help: string, type: MetricType = 'gauge', labels: readonly string[] = ['device']): Family {
  return family(`node_drbd_${name}`, type, help, labels);
}

interface Figure {
  readonly family: Family;
  readonly times: number;
}

/** By key; the kernel counts data in KiB. */
const FIGURES: ReadonlyMap<string, Figure> = new Map([
  ['ns', { family: drbd('network_sent_bytes_total', 'Bytes sent to the other node.', 'counter'), times: 1024 }],
  // In KiB all the same: the peer does not scale it, and boards are made for that.
  ['nr', { family: drbd('network_received_bytes_total', 'Data received from the other node; in KiB in spite of its name.', 'counter'), times: 1 }],
  ['dw', { family: drbd('disk_written_bytes_total', 'Bytes written to the local disk.', 'counter'), times: 1024 }],
  ['dr', { family: drbd('disk_read_bytes_total', 'Bytes read from the local disk.', 'counter'), times: 1024 }],
  ['al', { family: drbd('activitylog_writes_total', 'Updates of the activity log.', 'counter'), times: 1 }],
  ['bm', { family: drbd('bitmap_writes_total', 'Updates of the bitmap.', 'counter'), times: 1 }],
  ['lo', { family: drbd('local_pending', 'Requests to the local disk that are under way.'), times: 1 }],
  ['pe', { family: drbd('remote_pending', 'Requests to the other node that it has not answered.'), times: 1 }],
  ['ua', { family: drbd('remote_unacknowledged', 'Requests of the other node that are not answered.'), times: 1 }],
  ['ap', { family: drbd('application_pending', 'Requests of applications that are not answered.'), times: 1 }],
  ['ep', { family: drbd('epochs', 'Epochs that are under way.'), times: 1 }],
  ['oos', { family: drbd('out_of_sync_bytes', 'Data that differs between the nodes, in bytes.'), times: 1024 }],
]);

/** By key; `LOCAL/REMOTE`, and the word that counts as good. */
const PAIRS: ReadonlyMap<string, { family: Family; good: string }> = new Map([
  ['ro', { family: drbd('node_role_is_primary', 'Whether a node is the primary one (1) or not (0).', 'gauge', ['device', 'node']), good: 'Primary' }],
  [
    'ds',
    { family: drbd('disk_state_is_up_to_date', 'Whether the disk of a node is up to date (1) or not (0).', 'gauge', ['device', 'node']), good: 'UpToDate' },
  ],
]);
const CONNECTED = drbd('connected', 'Whether the nodes are connected (1) or not (0).');

interface Status {
  readonly samples: readonly (readonly [family: Family, labels: readonly string[], value: number])[];
  /** What stands behind it is not read, as in the peer. */
  readonly problem: CollectError | undefined;
}

/** Words `KEY:VALUE` of any line; `0:` begins a device. */
function parseStatus(text: string, path: string): Status {
  const samples: [Family, string[], number][] = [];
  let device = 'unknown';
  for (const [line, content] of text.split('\n').entries()) {
    for (const word of content.split(/\s+/)) {
      const [key = '', value, more] = word.split(':');
      if (value === undefined || more !== undefined) continue;
      const figure = FIGURES.get(key);
      const pair = PAIRS.get(key);
      if (/^[0-9]+$/.test(key) && value === '') device = `drbd${BigInt(key)}`;
      else if (figure !== undefined) {
        const number = floatOf(value);
        if (number === undefined) return { samples, problem: parseProblem(path, line + 1, `a number for ${key}, not ${JSON.stringify(value)}`) };
        samples.push([figure.family, [device], number * figure.times]);
      } else if (pair !== undefined) {
        const [local, remote] = value.split('/');
        if (remote === undefined) return { samples, problem: parseProblem(path, line + 1, `"${key}:LOCAL/REMOTE", not ${JSON.stringify(word)}`) };
        samples.push([pair.family, [device, 'local'], local === pair.good ? 1 : 0], [pair.family, [device, 'remote'], remote === pair.good ? 1 : 0]);
      } else if (key === 'cs') samples.push([CONNECTED, [device], value === 'Connected' ? 1 : 0]);
    }
  }
  return { samples, problem: undefined };
}

/** /proc/drbd of DRBD 8. */
export const part: NodePart = {
  name: 'drbd',
  enabledByDefault: false,
  families: [...[...FIGURES.values(), ...PAIRS.values()].map(({ family }) => family), CONNECTED],
  open(scope) {
    const status = new ParsedSource(scope.source(scope.proc('drbd'), { text: true }), parseStatus);
    const series = scope.constants();
    return {
      collect(sheet) {
        const found = status.read();
        if (found === undefined) return scope.missing(status);
        if (status.hasChanged) {
          series.clear();
          for (const sample of found.samples) series.add(...sample);
        }
        series.collect(sheet);
        if (found.problem !== undefined) throw found.problem;
        return OK;
      },
      replay: (_, steps) => status.replay(steps),
      close: () => status.close(),
    };
  },
};
