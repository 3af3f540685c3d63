import { OK, type Outcome } from '../../../../collect/contract.ts';
import type { Sheet } from '../../../../collect/sheet.ts';
import { KeptSeries } from '../../kept-series.ts';
import type { Service, ServiceScope } from '../../service-part.ts';
import { socketPaths } from '../dbus/address.ts';
import { type BusConnection, type Encoded, mustBeAnswered } from '../dbus/connection.ts';
import { KeptConnection } from '../dbus/kept-connection.ts';
import { ERROR, encodeCall, type Message, propertyCall } from '../dbus/message.ts';
import { SESSIONS } from './part.ts';

/** Source of names and types: man 5 org.freedesktop.login1. */
const LOGIND = 'org.freedesktop.login1';
const MANAGER = { destination: LOGIND, path: '/org/freedesktop/login1', interface: `${LOGIND}.Manager` };
const LIST_SEATS: Encoded = { bytes: encodeCall({ ...MANAGER, member: 'ListSeats' }) };
const LIST_SESSIONS: Encoded = { bytes: encodeCall({ ...MANAGER, member: 'ListSessions' }) };

/** Label values of the peer; sessions of other types and classes count as `other`. */
const TYPES = ['other', 'unspecified', 'tty', 'x11', 'wayland', 'mir', 'web'] as const;
const CLASSES = ['other', 'user', 'greeter', 'lock-screen', 'background'] as const;
const REMOTES = ['true', 'false'] as const;
const WANTED = ['Remote', 'Type', 'Class'] as const;

interface Session {
  readonly seat: string;
  readonly path: string;
  /** Whatever of `WANTED` was answered. A session that ends meanwhile answers nothing. */
  readonly properties: Map<string, string>;
}

interface SessionCall extends Encoded {
  readonly session: Session;
  readonly property: string;
}

/** Every combination of labels of a seat, in the order of `combination`. */
type SeatSeries = readonly KeptSeries[];

export function open(scope: ServiceScope): Service {
  const kept = new KeptConnection(socketPaths(scope.systemBus).map((path) => ({ path, isBus: true })));
  const seats = new Map<string, SeatSeries>();
  return {
    async collect(sheet: Sheet, signal: AbortSignal): Promise<Outcome> {
      const connection = await kept.get(signal);
      const { names, sessions } = await lists(connection, signal);
      await connection.run(sessions.flatMap(callsOf), takeProperty, signal);
      show(sheet, seats, names, sessions);
      return OK;
    },
    close: () => kept.close(),
  };
}

/** Seats, that of remote sessions without a name included, and sessions. */
async function lists(connection: BusConnection, signal: AbortSignal): Promise<{ names: string[]; sessions: Session[] }> {
  const names: string[] = [];
  const sessions: Session[] = [];
  await connection.run(
    [LIST_SEATS, LIST_SESSIONS],
    (call, reply) => {
      mustBeAnswered(connection.place, call === LIST_SEATS ? 'ListSeats' : 'ListSessions', reply);
      if (call === LIST_SEATS) readSeats(reply, names);
      else readSessions(reply, sessions);
    },
    signal,
  );
  return { names: [...new Set(names), ''], sessions };
}

/** Name, object path. */
function readSeats(reply: Message, names: string[]): void {
  reply.expect('a(so)');
  const end = reply.arrayEnd(true);
  while (reply.at < end) {
    reply.struct();
    names.push(reply.text());
    reply.skip('o');
  }
}

/** Name, number and name of the user, seat, object path. */
function readSessions(reply: Message, sessions: Session[]): void {
  reply.expect('a(susso)');
  const end = reply.arrayEnd(true);
  while (reply.at < end) {
    reply.struct();
    reply.skip('s');
    reply.skip('u');
    reply.skip('s');
    sessions.push({ seat: reply.text(), path: reply.text(), properties: new Map() });
  }
}

function callsOf(session: Session): SessionCall[] {
  return WANTED.map((property) => ({ session, property, bytes: encodeCall(propertyCall(LOGIND, session.path, `${LOGIND}.Session`, property)) }));
}

function takeProperty({ session, property }: SessionCall, reply: Message): void {
  if (reply.kind === ERROR) return;
  reply.expect('v');
  session.properties.set(property, String(reply.variant()));
}

function show(sheet: Sheet, seats: Map<string, SeatSeries>, names: readonly string[], sessions: readonly Session[]): void {
  const counts = new Map(names.map((name) => [name, new Array<number>(REMOTES.length * TYPES.length * CLASSES.length).fill(0)]));
  for (const { seat, properties } of sessions) {
    if (properties.size < WANTED.length) continue;
    const at = combination(properties.get('Remote') ?? '', properties.get('Type') ?? '', properties.get('Class') ?? '');
    const ofSeat = counts.get(seat);
    if (ofSeat !== undefined && at >= 0) ofSeat[at] = (ofSeat[at] ?? 0) + 1;
  }
  for (const name of seats.keys()) if (!counts.has(name)) seats.delete(name);
  for (const [name, numbers] of counts) {
    const series = seats.get(name) ?? seriesOf(name);
    seats.set(name, series);
    for (const [at, one] of series.entries()) one.set(sheet, numbers[at] ?? 0);
  }
}

function seriesOf(seat: string): SeatSeries {
  // Labels in wire order: class, remote, seat, type.
  return REMOTES.flatMap((remote) => TYPES.flatMap((type) => CLASSES.map((kind) => new KeptSeries(SESSIONS, [kind, remote, seat, type]))));
}

function combination(remote: string, type: string, kind: string): number {
  return (index(REMOTES, remote) * TYPES.length + known(TYPES, type)) * CLASSES.length + known(CLASSES, kind);
}

function index(values: readonly string[], value: string): number {
  return values.indexOf(value);
}

/** `other` is the first. */
function known(values: readonly string[], value: string): number {
  return Math.max(0, index(values, value));
}
