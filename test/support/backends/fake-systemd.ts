/**
 * Stand-ins for systemd and logind on a real bus: neither runs where tests run, since each wants to be the only one of its
 * machine. test/vm asks the real ones. Names and types are those of man 5 org.freedesktop.systemd1 and org.freedesktop.login1;
 * test/compare/services.test.ts has node_exporter ask the same stand-ins.
 */
import { type Answer, type Said, type Value, variant } from './dbus.ts';

export interface FakeUnit {
  readonly load?: string;
  readonly state: string;
  /** By `Interface.Property`; what is not there is answered with an error, as by an older release. */
  readonly properties?: Readonly<Record<string, Value>>;
}

export interface FakeSystemd {
  version: Value | undefined;
  virtualization: Value | undefined;
  systemState: Value | undefined;
  readonly units: Map<string, FakeUnit>;
}

export const u32 = (value: number): Value => variant('u', value);
export const u64 = (value: bigint): Value => variant('t', value);
export const text = (value: string): Value => variant('s', value);
const INFINITE = 2n ** 64n - 1n;

/** One unit of every kind that matters. */
export function fakeSystemd(): FakeSystemd {
  const service = (type: string, tasks: bigint, max: bigint, restarts: number, since: bigint): Record<string, Value> => ({
    'Service.Type': text(type),
    'Service.TasksCurrent': u64(tasks),
    'Service.TasksMax': u64(max),
    'Service.NRestarts': u32(restarts),
    'Unit.ActiveEnterTimestamp': u64(since),
  });
  const socket = (accept: boolean, accepted: number, connections: number, refused: number): Record<string, Value> => ({
    'Socket.Accept': variant('b', accept),
    'Socket.NAccepted': u32(accepted),
    'Socket.NConnections': u32(connections),
    'Socket.NRefused': u32(refused),
  });
  const { 'Socket.NRefused': _, ...withoutRefused } = socket(true, 5, 1, 0);
  return {
    version: text('252.22-1~deb12u1'),
    virtualization: text('kvm'),
    systemState: text('running'),
    units: new Map<string, FakeUnit>([
      ['ssh.service', { state: 'active', properties: service('notify', 3n, 4915n, 2, 1_700_000_000_123_456n) }],
      ['idle.service', { state: 'inactive', properties: service('oneshot', INFINITE, INFINITE, 0, 0n) }],
      ['getty@tty1.service', { state: 'reloading', properties: service('idle', 1n, 10n, 0, 1_700_000_001_000_000n) }],
      ['we-ird\\x2dname_ü.service', { state: 'failed', properties: service('forking', 0n, 7n, 4_000_000_000, 0n) }],
      ['old.service', { state: 'activating' }],
      ['gone.service', { load: 'not-found', state: 'inactive' }],
      ['fstrim.timer', { state: 'active', properties: { 'Timer.LastTriggerUSec': u64(1_699_999_999_999_999n), 'Unit.ActiveEnterTimestamp': u64(1n) } }],
      ['never.timer', { state: 'active', properties: { 'Timer.LastTriggerUSec': u64(0n) } }],
      ['dbus.socket', { state: 'active', properties: { ...socket(false, 0, 0, 0), 'Unit.ActiveEnterTimestamp': u64(7_000_000n) } }],
      ['telnet.socket', { state: 'active', properties: socket(true, 12, 3, 1) }],
      ['former.socket', { state: 'active', properties: withoutRefused }],
      ['-.mount', { state: 'active', properties: { 'Mount.Type': text('ext4'), 'Unit.ActiveEnterTimestamp': u64(9n) } }],
      ['dev-sda.device', { state: 'active' }],
      ['multi-user.target', { state: 'active', properties: { 'Unit.ActiveEnterTimestamp': u64(5_000_000n) } }],
      ['strange.kind', { state: 'maintenance' }],
    ]),
  };
}

const NO_PROPERTY: Said = { error: 'org.freedesktop.DBus.Error.UnknownProperty' };

function value(given: Value | undefined): Said {
  return given === undefined ? NO_PROPERTY : { signature: 'v', values: [given] };
}

const PATHS = new Map<string, string>();

function pathOf(unit: string): string {
  const path = PATHS.get(unit) ?? escaped(unit);
  PATHS.set(unit, path);
  return path;
}

/** As systemd escapes names in object paths. */
function escaped(unit: string): string {
  const bytes = [...Buffer.from(unit)].map((byte, index) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z]/.test(character) || (index > 0 && /[0-9]/.test(character)) ? character : `_${byte.toString(16).padStart(2, '0')}`;
  });
  return `/org/freedesktop/systemd1/unit/${bytes.join('')}`;
}

export function answerAsSystemd(systemd: FakeSystemd): Answer {
  return ({ path, interface: kind, member, arguments: [from = '', property = ''] }) => {
    if (member === 'ListUnits') {
      const rows = [...systemd.units].map(([name, { load = 'loaded', state }]) => [name, `About ${name}`, load, state, 'sub', '', pathOf(name), 0, '', '/']);
      return { signature: 'a(ssssssouso)', values: [rows] };
    }
    if (kind !== 'org.freedesktop.DBus.Properties' || member !== 'Get') return { error: 'org.freedesktop.DBus.Error.UnknownMethod' };
    if (path === '/org/freedesktop/systemd1') {
      if (property === 'Version') return value(systemd.version);
      if (property === 'Virtualization') return value(systemd.virtualization);
      return property === 'SystemState' ? value(systemd.systemState) : NO_PROPERTY;
    }
    for (const [name, unit] of systemd.units)
      if (pathOf(name) === path) return value(unit.properties?.[`${from.slice(from.lastIndexOf('.') + 1)}.${property}`]);
    return { error: 'org.freedesktop.systemd1.NoSuchUnit' };
  };
}

export interface FakeLogind {
  readonly seats: string[];
  /** Name to seat and properties; a session without properties has just ended. */
  readonly sessions: Map<string, { readonly seat: string; readonly properties?: Readonly<Record<string, Value>> }>;
}

export function fakeLogind(): FakeLogind {
  const session = (seat: string, remote: boolean, type: string, kind: string): { seat: string; properties: Record<string, Value> } => ({
    seat,
    properties: { Remote: variant('b', remote), Type: text(type), Class: text(kind) },
  });
  return {
    seats: ['seat0', 'seat-two'],
    sessions: new Map<string, { readonly seat: string; readonly properties?: Readonly<Record<string, Value>> }>([
      ['c1', session('seat0', false, 'wayland', 'greeter')],
      ['2', session('', true, 'tty', 'user')],
      ['3', session('', true, 'tty', 'user')],
      ['4', session('', false, 'holodeck', 'manager')],
      ['5', session('no-such-seat', false, 'tty', 'user')],
      ['6', { seat: 'seat0' }],
    ]),
  };
}

export function answerAsLogind(logind: FakeLogind): Answer {
  return ({ path, member, arguments: [, property = ''] }) => {
    if (member === 'ListSeats') return { signature: 'a(so)', values: [logind.seats.map((seat, i) => [seat, `/org/freedesktop/login1/seat/s${i}`])] };
    const sessions = [...logind.sessions];
    if (member === 'ListSessions') {
      const rows = sessions.map(([name, { seat }], i) => [name, 1000 + i, 'somebody', seat, `/org/freedesktop/login1/session/s${i}`]);
      return { signature: 'a(susso)', values: [rows] };
    }
    const [, session] = sessions[Number(path.slice(path.lastIndexOf('/s') + 2))] ?? [];
    return session === undefined ? { error: 'org.freedesktop.login1.NoSuchSession' } : value(session.properties?.[property]);
  };
}
