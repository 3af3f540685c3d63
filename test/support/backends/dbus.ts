/** A real dbus-daemon as system bus, and programs on it whose answers a test writes. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type Socket, createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Available } from './availability.ts';
import { accepts, type ServerProcess, startProcess, until } from './processes.ts';

export interface Bus {
  /** For DBUS_SYSTEM_BUS_ADDRESS. */
  readonly address: string;
  readonly socketPath: string;
  readonly process: ServerProcess;
  /** A program of ours on the bus. */
  serve(name: string, answer: Answer): Promise<BusProgram>;
  /** Starts it again after `process.stop()`. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** A value in the order of its signature: texts, numbers, bigints for 64 bits, booleans; arrays for arrays and structs; variants by `variant`. */
export type Value = string | number | bigint | boolean | readonly Value[] | { readonly variantOf: string; readonly value: Value };

export function variant(signature: string, value: Value): Value {
  return { variantOf: signature, value };
}

/** What a program says to a call: values, an error, or nothing at all. */
export type Said = { readonly signature: string; readonly values: readonly Value[] } | { readonly error: string } | 'nothing';
export type Answer = (call: ReceivedCall) => Said;

export interface ReceivedCall {
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly arguments: readonly string[];
}

export interface BusProgram {
  /** Calls since `calls` was last emptied. */
  readonly calls: ReceivedCall[];
  answer: Answer;
  close(): void;
}

export function dbusDaemon(): Available<'dbus-daemon'> {
  return spawnSync('sh', ['-c', 'command -v dbus-daemon']).status === 0 ? { backend: 'dbus-daemon' } : { missing: 'dbus-daemon is not installed' };
}

/** @param policy rules inside `<policy context="default">`, after those that allow everything */
export async function startBus(policy = ''): Promise<Bus> {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-bus-'));
  const socketPath = join(folder, 'bus');
  const address = `unix:path=${socketPath}`;
  // As the type says, with the limits of the system bus: 128 calls under way per client.
  writeFileSync(
    join(folder, 'bus.conf'),
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>${address}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>${policy}</policy></busconfig>`,
  );
  const start = async (): Promise<ServerProcess> => {
    rmSync(socketPath, { force: true });
    const started = startProcess('dbus-daemon', ['--nofork', '--nopidfile', '--nosyslog', `--config-file=${join(folder, 'bus.conf')}`], join(folder, 'log'));
    if (!(await until(() => accepts({ path: socketPath }), 10_000))) throw new Error(`dbus-daemon: ${started.output()}`);
    return started;
  };
  let process = await start();
  const programs: BusProgram[] = [];
  return {
    address,
    socketPath,
    get process() {
      return process;
    },
    async serve(name, answer) {
      const program = await joinBus(socketPath, name, answer);
      programs.push(program);
      return program;
    },
    async restart() {
      process = await start();
    },
    async close() {
      for (const program of programs) program.close();
      await process.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A socket that is no bus: what it says to whoever connects is the test's. */
export async function notABus(onLine: (line: string, socket: Socket) => void): Promise<{ readonly address: string; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-nobus-'));
  const path = join(folder, 'bus');
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      for (const line of String(text).split('\r\n')) if (line !== '') onLine(line, socket);
    });
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    address: `unix:path=${path}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function joinBus(socketPath: string, name: string, answer: Answer): Promise<BusProgram> {
  const socket = createConnection(socketPath);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(process.getuid?.() ?? 0)).toString('hex')}\r\n`);
  const [line] = (await once(socket, 'data')) as [Buffer];
  if (!line.toString().startsWith('OK')) throw new Error(`dbus-daemon refuses the test's program: ${line}`);
  const bus = { path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus', destination: 'org.freedesktop.DBus' };
  socket.write('BEGIN\r\n');
  socket.write(encode({ kind: 1, serial: 1, fields: { ...bus, member: 'Hello' }, signature: '', values: [] }));
  socket.write(encode({ kind: 1, serial: 2, fields: { ...bus, member: 'RequestName' }, signature: 'su', values: [name, 4] }));
  const program: BusProgram = { calls: [], answer, close: () => socket.destroy() };
  let serial = 3;
  let bytes = Buffer.alloc(0);
  await new Promise<void>((resolve, reject) => {
    socket.on('close', () => reject(new Error('dbus-daemon has thrown the test program out')));
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (;;) {
        const message = decode(bytes);
        if (message === undefined) return;
        bytes = bytes.subarray(message.length);
        if (message.replySerial === 2) resolve();
        if (message.kind !== 1) continue;
        program.calls.push(message.call);
        const said = program.answer(message.call);
        if (said === 'nothing') continue;
        const fields = { destination: message.sender, replySerial: message.serial };
        socket.write(
          'error' in said
            ? encode({ kind: 3, serial: serial++, fields: { ...fields, errorName: said.error }, signature: 's', values: ['a test says no'] })
            : encode({ kind: 2, serial: serial++, fields, signature: said.signature, values: said.values }),
        );
      }
    });
  });
  return program;
}

interface Encodable {
  readonly kind: number;
  readonly serial: number;
  readonly fields: Readonly<Record<string, string | number>>;
  readonly signature: string;
  readonly values: readonly Value[];
}

/** Code and type of the header fields a test needs. */
const FIELDS: Readonly<Record<string, readonly [code: number, type: string]>> = {
  path: [1, 'o'],
  interface: [2, 's'],
  member: [3, 's'],
  errorName: [4, 's'],
  replySerial: [5, 'u'],
  destination: [6, 's'],
  sender: [7, 's'],
};

export function encode({ kind, serial, fields, signature, values }: Encodable): Buffer {
  const body: number[] = [];
  put(body, signature, values);
  const rows: Value[] = Object.entries(fields).map(([name, value]) => {
    const [code, type] = FIELDS[name] ?? [0, ''];
    return [code, variant(type, value)];
  });
  if (signature !== '') rows.push([8, variant('g', signature)]);
  const head: number[] = [];
  put(head, 'yyyyuua(yv)', [0x6c, kind, 0, 1, body.length, serial, rows]);
  while (head.length % 8 !== 0) head.push(0);
  return Buffer.from([...head, ...body]);
}

/** The types of a signature, one after the other. */
function typesOf(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length; ) {
    let end = at;
    while (signature[end] === 'a') end += 1;
    if (signature[end] === '(') {
      for (let depth = 0; ; end += 1) {
        if (signature[end] === '(') depth += 1;
        if (signature[end] === ')' && --depth === 0) break;
      }
    }
    types.push(signature.slice(at, end + 1));
    at = end + 1;
  }
  return types;
}

function put(bytes: number[], signature: string, values: readonly Value[]): void {
  for (const [index, type] of typesOf(signature).entries()) putOne(bytes, type, values[index] ?? '');
}

function pad(bytes: number[], to: number): void {
  while (bytes.length % to !== 0) bytes.push(0);
}

function putOne(bytes: number[], type: string, value: Value): void {
  const word = (number: number): void => {
    pad(bytes, 4);
    bytes.push(number & 0xff, (number >>> 8) & 0xff, (number >>> 16) & 0xff, number >>> 24);
  };
  if (type === 'y') bytes.push(Number(value));
  else if (type === 'u' || type === 'i') word(Number(value));
  else if (type === 'b') word(value === true ? 1 : 0);
  else if (type === 't') {
    pad(bytes, 8);
    const long = Buffer.alloc(8);
    long.writeBigUInt64LE(BigInt(value as bigint));
    bytes.push(...long);
  } else if (type === 's' || type === 'o') {
    const text = Buffer.from(String(value));
    word(text.length);
    bytes.push(...text, 0);
  } else if (type === 'g') bytes.push(String(value).length, ...Buffer.from(String(value)), 0);
  else if (type === 'v') {
    const { variantOf, value: inner } = value as { variantOf: string; value: Value };
    putOne(bytes, 'g', variantOf);
    putOne(bytes, variantOf, inner);
  } else if (type.startsWith('a')) {
    word(0);
    const lengthAt = bytes.length - 4;
    if (type[1] === '(') pad(bytes, 8);
    const start = bytes.length;
    for (const one of value as readonly Value[]) putOne(bytes, type.slice(1), one);
    const length = bytes.length - start;
    for (let i = 0; i < 4; i++) bytes[lengthAt + i] = (length >>> (8 * i)) & 0xff;
  } else {
    pad(bytes, 8);
    put(bytes, type.slice(1, -1), value as readonly Value[]);
  }
}

interface Decoded {
  readonly length: number;
  readonly kind: number;
  readonly serial: number;
  readonly sender: string;
  readonly replySerial: number;
  readonly call: ReceivedCall;
}

/** A little-endian message whose body is texts; undefined when it is not all there. */
function decode(bytes: Buffer): Decoded | undefined {
  if (bytes.length < 16) return undefined;
  const fieldsEnd = 16 + bytes.readUInt32LE(12);
  const bodyAt = Math.ceil(fieldsEnd / 8) * 8;
  const length = bodyAt + bytes.readUInt32LE(4);
  if (bytes.length < length) return undefined;
  const fields = new Map<number, string | number>();
  for (let at = 16; at < fieldsEnd; ) {
    at = Math.ceil(at / 8) * 8;
    const code = bytes[at] ?? 0;
    const type = String.fromCharCode(bytes[at + 2] ?? 0);
    at += 4;
    if (type === 'g') {
      const size = bytes[at] ?? 0;
      fields.set(code, bytes.toString('latin1', at + 1, at + 1 + size));
      at += size + 2;
      continue;
    }
    const number = bytes.readUInt32LE(at);
    at += 4;
    if (type === 'u') fields.set(code, number);
    else {
      fields.set(code, bytes.toString('utf8', at, at + number));
      at += number + 1;
    }
  }
  const texts: string[] = [];
  const kind = bytes[1] ?? 0;
  for (let at = bodyAt; kind === 1 && at < length; ) {
    at = Math.ceil(at / 4) * 4;
    const size = bytes.readUInt32LE(at);
    texts.push(bytes.toString('utf8', at + 4, at + 4 + size));
    at += size + 5;
  }
  return {
    length,
    kind,
    serial: bytes.readUInt32LE(8),
    sender: String(fields.get(7) ?? ''),
    replySerial: Number(fields.get(5) ?? 0),
    call: { path: String(fields.get(1)), interface: String(fields.get(2)), member: String(fields.get(3)), arguments: texts },
  };
}
