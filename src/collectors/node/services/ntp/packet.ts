/** Packets of NTP. Source: RFC 5905, sections 6, 7.3 and 8. */

export const PACKET_BYTES = 48;
const CLIENT = 3;
const SERVER = 4;
const NANOSECONDS = 1e9;
const BILLION = 1_000_000_000n;
/** From 1900 to 1970, and from 1970 to 2036, when the seconds start anew; in seconds. */
const TO_1970 = 2_208_988_800n;
const TO_2036 = 2_085_978_496n;

/** What a server says; times are its 64-bit numbers, seconds since 1900 times 2^32. */
export interface Answer {
  readonly leap: number;
  readonly stratum: number;
  /** Nanoseconds. */
  readonly rootDelay: number;
  readonly rootDispersion: number;
  readonly reference: bigint;
  readonly origin: bigint;
  readonly receive: bigint;
  readonly transmit: bigint;
}

/** @param token goes where our time would, and must come back; our clock is nobody's business */
export function question(version: number, token: bigint): Buffer {
  const packet = Buffer.alloc(PACKET_BYTES);
  packet[0] = (version << 3) | CLIENT;
  packet[3] = 0x20; // Precision, of no meaning without a time.
  packet.writeBigUInt64BE(token, 40);
  return packet;
}

/** Undefined when it answers another question. Throws Error with what is wrong. */
export function readAnswer(packet: Buffer, token: bigint): Answer | undefined {
  if (packet.length < PACKET_BYTES) throw new Error(`expected ${PACKET_BYTES} bytes or more, not ${packet.length}`);
  const first = packet.readUInt8(0);
  const origin = packet.readBigUInt64BE(24);
  if (origin !== token) return undefined;
  if ((first & 7) !== SERVER) throw new Error(`expected mode ${SERVER} of a server, not ${first & 7}`);
  const receive = packet.readBigUInt64BE(32);
  const transmit = packet.readBigUInt64BE(40);
  if (transmit === 0n) throw new Error('the server does not say when it answered');
  if (receive > transmit) throw new Error('the server answered before it was asked: its clock goes backwards');
  return {
    leap: first >> 6,
    stratum: packet.readUInt8(1),
    rootDelay: shortNanoseconds(packet.readUInt32BE(4)),
    rootDispersion: shortNanoseconds(packet.readUInt32BE(8)),
    reference: packet.readBigUInt64BE(16),
    origin,
    receive,
    transmit,
  };
}

/** Seconds times 2^16. */
function shortNanoseconds(short: number): number {
  return Math.floor(short / 65_536) * NANOSECONDS + Math.round(((short % 65_536) * NANOSECONDS) / 65_536);
}

/** Seconds times 2^32; may be negative. */
export function nanoseconds(long: bigint): number {
  const isNegative = long < 0n;
  const size = isNegative ? -long : long;
  const whole = (size >> 32n) * BILLION + (((size & 0xffff_ffffn) * BILLION + 0x8000_0000n) >> 32n);
  return Number(isNegative ? -whole : whole);
}

/** Unix time in nanoseconds. Numbers below 1970 are those of the next era, which starts in 2036. */
export function unixNanoseconds(time: bigint): bigint {
  const seconds = time >> 32n;
  const rest = ((time & 0xffff_ffffn) * BILLION + 0x8000_0000n) >> 32n;
  return (seconds < TO_1970 ? seconds + TO_2036 : seconds - TO_1970) * BILLION + rest;
}

/** @param unixMs with a fraction */
export function ntpTime(unixMs: number): bigint {
  const seconds = Math.floor(unixMs / 1000);
  const fraction = Math.round((unixMs / 1000 - seconds) * 2 ** 32);
  return BigInt.asUintN(64, ((BigInt(seconds) + TO_1970) << 32n) + BigInt(fraction));
}

/** The four times of an exchange: sent by us, received and answered by the server, received by us. */
export interface Exchange {
  readonly sent: bigint;
  readonly receive: bigint;
  readonly transmit: bigint;
  readonly received: bigint;
}

/** Differences survive the end of an era. */
function difference(a: bigint, b: bigint): bigint {
  return BigInt.asIntN(64, a - b);
}

/** How long the packets travelled, nanoseconds; never negative. */
export function roundTrip({ sent, receive, transmit, received }: Exchange): number {
  return Math.max(0, nanoseconds(difference(received, sent) - difference(transmit, receive)));
}

/** How far the server's clock is ahead, nanoseconds. */
export function offset({ sent, receive, transmit, received }: Exchange): number {
  const there = difference(receive, sent);
  const back = difference(transmit, received);
  return nanoseconds(there + (back - there) / 2n);
}

/** How far the clocks must be apart, nanoseconds: a packet that arrives before it was sent proves it. */
export function leastError({ sent, receive, transmit, received }: Exchange): number {
  const there = sent >= receive ? sent - receive : 0n;
  const back = transmit >= received ? transmit - received : 0n;
  return nanoseconds(there > back ? there : back);
}
