import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { absent, OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { Absence } from '../absence.ts';
import { isMissing, readProblem } from '../file-error.ts';
import type { NodePart } from '../part.ts';

function gauge(name: string, help: string): Family {
  return family(`node_service_${name}`, 'gauge', help, ['service', 'supervisor']);
}

const STATE = gauge('state', 'State of a service: 0 down, 1 runs, 2 its finish script runs.');
const DESIRED = gauge('desired_state', 'State that a service is meant to be in: 0 down, 1 up.');
const NORMAL = gauge('normal_state', 'Whether a service is started with its supervisor.');
const CHANGED = gauge('state_last_change_timestamp_seconds', 'When the state of a service last changed, in seconds since 1970.');

/** Bytes of supervise/status (runsv.c): TAI64N, pid, paused, want, term signal, state. */
const STATUS_BYTES = 20;
const WANT = 17;
const STATE_BYTE = 19;
/** TAI64 of 1970, which is ten seconds off UTC. */
const TAI_OF_1970 = 4611686018427387914n;

export interface RunitStatus {
  readonly changedSeconds: number;
  readonly isWanted: boolean;
  readonly state: number;
}

/** Bytes that a short file lacks are 0, as in the peer. */
export function parseStatus(bytes: Buffer): RunitStatus {
  const status = Buffer.alloc(STATUS_BYTES);
  bytes.copy(status);
  return {
    changedSeconds: Number(BigInt.asIntN(64, status.readBigUInt64BE(0) - TAI_OF_1970)),
    isWanted: status.toString('latin1', WANT, WANT + 1) === 'u',
    state: status[STATE_BYTE] ?? 0,
  };
}

/** Undefined when it cannot be read: a service that was never started has none. */
function readStatus(path: string): RunitStatus | undefined {
  const bytes = Buffer.alloc(STATUS_BYTES);
  let file = -1;
  try {
    file = openSync(path, 'r');
    const length = readSync(file, bytes, 0, STATUS_BYTES, 0);
    return length === 0 ? undefined : parseStatus(bytes.subarray(0, length));
  } catch {
    // The peer leaves such a service out, whatever the reason.
    return undefined;
  } finally {
    if (file >= 0) closeSync(file);
  }
}

/** SERVICEDIR/NAME/supervise/status of runit's services. The folder is not below the roots, as in the peer. */
export const part: NodePart = {
  name: 'runit',
  enabledByDefault: false,
  families: [STATE, DESIRED, NORMAL, CHANGED],
  options: [{ flag: 'servicedir', kind: 'string', default: '/etc/service', help: 'folder of the services' }],
  open(scope) {
    const folder = scope.options.text('servicedir') || '/etc/service';
    const absence = new Absence(scope.monotonicMs);
    const missing = absent(`${folder} is missing`);
    const services = (): string[] | undefined => {
      try {
        return readdirSync(folder, { withFileTypes: true })
          .filter((entry) => entry.isSymbolicLink() || entry.isDirectory())
          .map(({ name }) => name);
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw readProblem(folder, error);
      }
    };
    return {
      collect(sheet) {
        if (absence.isRecent()) return missing;
        const names = services();
        if (names === undefined) {
          absence.note();
          return missing;
        }
        for (const name of names) {
          const status = readStatus(`${folder}/${name}/supervise/status`);
          if (status === undefined) continue;
          const labels = [name, 'runit'];
          const isDown = statSync(`${folder}/${name}/supervise/down`, { throwIfNoEntry: false }) !== undefined;
          sheet.sample(STATE, labels, status.state);
          sheet.sample(DESIRED, labels, status.isWanted ? 1 : 0);
          sheet.sample(NORMAL, labels, isDown ? 0 : 1);
          sheet.sample(CHANGED, labels, status.changedSeconds);
        }
        return OK;
      },
      replay: (_, steps) => absence.replay(steps),
    };
  },
};
