import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { CollectError, OK, type Outcome } from '../../../../collect/contract.ts';
import type { Sheet } from '../../../../collect/sheet.ts';
import type { Family } from '../../../../model/family.ts';
import { unlessAborted } from '../../../../collect/unless-aborted.ts';
import type { PartOptions } from '../../options.ts';
import type { Service, ServiceScope } from '../../service-part.ts';
import { type Answer, type Exchange, leastError, ntpTime, offset, question, readAnswer, roundTrip, unixNanoseconds } from './packet.ts';
import { LEAP, OFFSET, REFERENCE, ROOT_DELAY, ROOT_DISPERSION, RTT, SANITY, STRATUM } from './part.ts';
import { FineWallClock } from './wall-clock.ts';

/** As the peer; an answer that takes longer says nothing about a clock. */
const TIMEOUT_MS = 1000;
const NANOSECONDS = 1e9;
const DAY_NS = 86_400_000_000_000n;
/** Largest interval between questions, in which a clock must have been set: 2^17 s (RFC 5905, MAXPOLL). */
const LONGEST_POLL_NS = (1n << 17n) * 1_000_000_000n;
/** RFC 5905, MAXDISP. */
const LARGEST_DISPERSION_NS = 16 * NANOSECONDS;
const UNSYNCHRONIZED = 3;
const LAST_STRATUM = 15;

interface Settings {
  readonly host: string;
  readonly port: number;
  readonly version: number;
  readonly ttl: number;
  readonly maxDistanceNs: number;
  readonly toleranceNs: number;
}

export function open(scope: ServiceScope): Service {
  const settings = settingsOf(scope.options);
  const clock = new FineWallClock(scope);
  const sanity = new Sanity(settings);
  let socket: NtpSocket | undefined;
  return {
    async collect(sheet: Sheet, signal: AbortSignal): Promise<Outcome> {
      try {
        socket ??= new NtpSocket(settings);
        const { answer, exchange } = await socket.ask(clock, AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]));
        show(sheet, answer, exchange, sanity.judge(answer, exchange));
        return OK;
      } catch (error) {
        // The server may have another address next time.
        socket?.close();
        socket = undefined;
        throw error;
      }
    },
    close() {
      socket?.close();
      socket = undefined;
    },
  };
}

/** Throws CollectError where the peer would not start: public servers must not be asked by whole fleets. */
function settingsOf(options: PartOptions): Settings {
  const server = options.text('server');
  const refuse = (flag: string, message: string): never => {
    throw new CollectError('query', `ntp ${flag}`, message);
  };
  if (!options.isOn('server-is-local') && !isLoopback(server)) refuse('server', `${server} is not a loopback address, and server-is-local is not set`);
  const port = options.number('server-port');
  if (port < 1 || port > 65_535) refuse('server-port', `expected 1 to 65535, not ${port}`);
  const version = options.number('protocol-version');
  if (version < 2 || version > 4) refuse('protocol-version', `expected 2 to 4, not ${version}`);
  const tolerance = options.number('local-offset-tolerance');
  if (tolerance < 0) refuse('local-offset-tolerance', 'expected no less than 0');
  const maxDistanceNs = options.number('max-distance') * NANOSECONDS;
  return { ...hostAndPort(server, port), version, ttl: options.number('ip-ttl'), maxDistanceNs, toleranceNs: tolerance * NANOSECONDS };
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

function isLoopback(server: string): boolean {
  const version = isIP(server);
  return version !== 0 && LOOPBACK.check(server, version === 6 ? 'ipv6' : 'ipv4');
}

/** `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address. */
function hostAndPort(server: string, port: number): { host: string; port: number } {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(server) ?? (isIP(server) === 6 ? undefined : /^([^:]+):(\d+)$/.exec(server));
  if (bracketed == null) return { host: server, port };
  return { host: bracketed[1] ?? '', port: bracketed[2] === undefined ? port : Number(bracketed[2]) };
}

/** A connected socket: only the server's packets reach it, and a refusal does as well. */
class NtpSocket {
  readonly #settings: Settings;
  readonly #place: string;
  #socket: Socket | undefined;
  #isClosed = false;
  #onPacket: (packet: Buffer) => void = () => undefined;
  #onError: (error: Error) => void = () => undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#place = `${settings.host}:${settings.port}`;
  }

  ask(clock: FineWallClock, signal: AbortSignal): Promise<{ answer: Answer; exchange: Exchange }> {
    return unlessAborted(this.#ask(clock), signal, () => new CollectError('timeout', this.#place, `no answer within ${TIMEOUT_MS} ms`));
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.close();
    this.#socket = undefined;
  }

  async #ask(clock: FineWallClock): Promise<{ answer: Answer; exchange: Exchange }> {
    const socket = this.#socket ?? (await this.#connect());
    const token = randomBytes(8).readBigUInt64BE();
    const packet = question(this.#settings.version, token);
    clock.nowMs(); // So that it need not be measured while the packets travel.
    return new Promise((resolve, reject) => {
      let sent = 0n;
      this.#onPacket = (received) => {
        const receivedAt = ntpTime(clock.nowMs());
        try {
          const answer = readAnswer(received, token);
          // A late answer to an earlier question.
          if (answer === undefined) return;
          resolve({ answer, exchange: { sent, receive: answer.receive, transmit: answer.transmit, received: receivedAt < sent ? sent : receivedAt } });
        } catch (error) {
          reject(new CollectError('parse', this.#place, error instanceof Error ? error.message : String(error), error));
        }
      };
      this.#onError = (error) => reject(this.#failed(error));
      sent = ntpTime(clock.nowMs());
      socket.send(packet, (error) => {
        if (error) reject(this.#failed(error));
      });
    });
  }

  async #connect(): Promise<Socket> {
    const { host, port, ttl } = this.#settings;
    const found = await lookup(host, { all: true }).catch((error: Error) => {
      throw this.#failed(error);
    });
    if (this.#isClosed) throw this.#failed(new Error('given up'));
    const { address, family } = found.find((one) => one.family === 4) ?? found[0] ?? { address: host, family: 4 };
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    this.#socket = socket;
    socket.on('message', (packet) => this.#onPacket(packet));
    socket.on('error', (error) => this.#onError(error));
    await new Promise<void>((resolve, reject) => {
      this.#onError = (error) => reject(this.#failed(error));
      socket.connect(port, address, () => {
        try {
          if (ttl !== 0) socket.setTTL(ttl);
          resolve();
        } catch (error) {
          reject(this.#failed(error as Error));
        }
      });
    });
    return socket;
  }

  #failed(error: Error): CollectError {
    const errno = (error as NodeJS.ErrnoException).code;
    return new CollectError('connect', this.#place, errno ?? error.message, error);
  }
}

/** Whether an answer may be trusted; remembers announced leap seconds, whose flag goes at midnight. */
class Sanity {
  readonly #settings: Settings;
  /** The end of the day that a leap second ends, Unix time. */
  #leapNs: bigint | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  judge(answer: Answer, exchange: Exchange): boolean {
    const now = unixNanoseconds(answer.transmit);
    if (answer.leap === 1 || answer.leap === 2) this.#leapNs = (now / DAY_NS + 1n) * DAY_NS;
    // Servers smear the second over the days around it.
    const isNearLeap = this.#leapNs !== undefined && this.#leapNs - DAY_NS < now && now < this.#leapNs + DAY_NS;
    const toleranceNs = this.#settings.toleranceNs + (isNearLeap ? NANOSECONDS : 0);
    const distanceNs = (roundTrip(exchange) + answer.rootDelay) / 2 + answer.rootDispersion;
    return isValid(answer, now) && distanceNs <= this.#settings.maxDistanceNs && leastError(exchange) <= toleranceNs;
  }
}

function isValid({ stratum, leap, reference, rootDelay, rootDispersion }: Answer, now: bigint): boolean {
  if (stratum < 1 || stratum > LAST_STRATUM || leap === UNSYNCHRONIZED) return false;
  const age = now - unixNanoseconds(reference);
  return age >= 0n && age <= LONGEST_POLL_NS && rootDelay / 2 + rootDispersion <= LARGEST_DISPERSION_NS;
}

function show(sheet: Sheet, answer: Answer, exchange: Exchange, isSane: boolean): void {
  const samples: readonly (readonly [family: Family, value: number])[] = [
    [STRATUM, answer.stratum],
    [LEAP, answer.leap],
    [RTT, seconds(roundTrip(exchange))],
    [OFFSET, seconds(offset(exchange))],
    [REFERENCE, answer.reference === 0n ? 0 : Number(unixNanoseconds(answer.reference)) / NANOSECONDS],
    [ROOT_DELAY, seconds(answer.rootDelay)],
    [ROOT_DISPERSION, seconds(answer.rootDispersion)],
    [SANITY, isSane ? 1 : 0],
  ];
  for (const [family, value] of samples) sheet.sample(family, [], value);
}

/** As Go's Duration.Seconds: the whole and the rest apart. */
function seconds(ns: number): number {
  const whole = Math.trunc(ns / NANOSECONDS);
  return whole + (ns - whole * NANOSECONDS) / NANOSECONDS;
}
