/**
 * Replayed runs against runs by `collect`: both follow the same fixture tree while its numbers, and now and then its texts,
 * are changed, and must show the same page after every step.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { comparable, type Fixture, fixtures, optionsFrom } from '../../../test/compare/node-fixtures.ts';
import { LIVE_ROOTS, nodePages, rootsIn } from '../../../test/compare/node-page.ts';
import { Channel, CHANNEL_LAYOUT, EMPTY_PAGE, makeChannel } from '../../collect/channel.ts';
import { PLAIN } from '../../collect/variant.ts';
import { CONTROL_LAYOUT, HostControl, makeHostControl, MAX_JOBS } from '../../lanes/host-control.ts';
import { randomFrom } from '../../../test/support/random.ts';
import { Job, Replay } from '../../lanes/work.ts';
import { systemClock } from '../../model/clock.ts';
import { addonPath, nativeReaders } from '../../readers/native.ts';
import { type Replays, TURN, TURN_LEFT_SHIFT } from '../../readers/readers.ts';
import { open, report } from './collect.ts';

const STEPS = 12;
const LANE = 1;
const PATIENCE_MS = 10_000;

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() && statSync(path).size < 100_000 ? [path] : [];
  });
}

/** Other numbers, some longer or shorter; with `withTexts` a letter or a line as well. */
function mutated(text: string, random: () => number, withTexts: boolean): string {
  const numbers = text.replace(/(?<=[\s=])\d{1,15}(?=\s)/g, (number) => {
    const chance = random();
    if (chance < 0.5) return number;
    return chance < 0.9 ? String(BigInt(number) + BigInt(Math.floor(random() * 1000))) : String(Math.floor(random() * 1e6));
  });
  if (!withTexts) return numbers;
  const lines = numbers.split('\n');
  if (random() < 0.5) lines.splice(Math.floor(random() * lines.length), 1);
  else lines.push(lines[Math.floor(random() * lines.length)] ?? '');
  return lines.join('\n');
}

/** One job of a lane, driven as src/lanes/host.ts does. */
class Driven {
  readonly #job: Job;
  readonly #replay: Replay;
  readonly #turn: () => number;
  readonly #session: ReturnType<typeof open>;
  readonly #control = new HostControl(makeHostControl());
  readonly #left = new Int32Array(4);
  readonly #channel: Channel;
  replayed = 0;

  constructor(fixture: Fixture, roots: ReturnType<typeof rootsIn>, options: unknown) {
    const readers = nativeReaders();
    const replays = readers.replays(Int32Array.from([...CHANNEL_LAYOUT, ...CONTROL_LAYOUT])) as Replays;
    const { words, floats } = this.#control;
    const owners = new Int32Array(MAX_JOBS).fill(LANE);
    this.#turn = replays.turns({ words, floats, owners, left: this.#left, bell: new Int32Array(new SharedArrayBuffer(4)), number: LANE });
    const memory = makeChannel([PLAIN, { name: 'other', labels: [['target', 'a']] }], 1 << 20, [EMPTY_PAGE, EMPTY_PAGE]);
    this.#channel = new Channel(memory);
    const target = { name: 'local', settings: undefined, address: '' };
    const spec = {
      id: 7,
      collector: 'node',
      part: fixture.part,
      target,
      worker: '',
      options,
      roots,
      parts: [fixture.part],
      deadlineMs: 1000,
      maxSeries: 10_000,
      maxBytes: 1 << 20,
      channel: memory,
    };
    this.#job = new Job(spec, readers, report, () => undefined);
    this.#replay = new Replay(this.#job, replays);
    this.#session = open({ ...spec, readers, monotonicMs: systemClock.monotonicMs, wallMs: systemClock.wallMs, warn: () => undefined });
  }

  run(): string {
    this.#control.due(this.#job.spec.id);
    const said = this.#turn();
    if (said === TURN.ran) this.replayed += 1;
    else {
      assert.deepEqual([said, this.#left[0]], [TURN.ran | (1 << TURN_LEFT_SHIFT), this.#job.spec.id]);
      this.#collect();
    }
    const view = this.#channel.view(0, 0);
    const other = this.#channel.view(1, 0);
    assert.ok(view !== undefined && other !== undefined);
    const words = (page: typeof view): Uint32Array => page.index.subarray(0, page.families * 4);
    assert.deepEqual(
      [...words(other)].filter((_, i) => i % 4 === 3),
      [...words(view)].filter((_, i) => i % 4 === 3),
      'samples of both variants',
    );
    return pageText(view);
  }

  close(): void {
    this.#replay.leave();
    this.#session.close();
  }

  #collect(): void {
    this.#replay.leave();
    this.#job.start(systemClock.monotonicMs());
    try {
      const outcome = this.#session.collect(this.#job.spec.part, this.#job.sheet);
      this.#job.end(outcome.kind, undefined, systemClock.monotonicMs(), 0);
      this.#replay.arm(this.#session, outcome.kind);
    } catch (error) {
      this.#job.end('failed', error, systemClock.monotonicMs(), 0);
    }
  }
}

/** Both pages, of a moment in which neither was made while the threads that call statfs(2) had to wait for a processor. */
async function inTime(make: () => readonly [string, string]): Promise<readonly [string, string]> {
  let pages = make();
  while (pages.some((page) => page.includes('mountpoint timeout'))) {
    await new Promise(setImmediate);
    pages = make();
  }
  return pages;
}

function pageText({ page, index, families }: { page: Uint8Array; index: Uint32Array; families: number }): string {
  let end = 0;
  for (let i = 0; i < families; i++) end = Math.max(end, (index[i * 4] ?? 0) + (index[i * 4 + 1] ?? 0) + (index[i * 4 + 2] ?? 0));
  return new TextDecoder().decode(page.slice(0, end));
}

const replayedParts = new Set<string>();

for (const [seed, fixture] of fixtures().entries()) {
  const skip = addonPath() === undefined ? 'the native readers are not built' : fixture.notHere || false;
  test(`${fixture.name}: a replayed run shows what a run shows`, { skip }, async () => {
    const random = randomFrom(seed);
    const folder = mkdtempSync(join(tmpdir(), 'exporterd-replay-'));
    for (const root of ['proc', 'sys', 'udev', 'root']) {
      const from = join(fixture.folder, root);
      if (existsSync(from)) cpSync(from, join(folder, root), { recursive: true, verbatimSymlinks: true });
    }
    const options = await optionsFrom(fixture.flags);
    const plain = nodePages({ readers: nativeReaders(), roots: rootsIn(folder), options, parts: [fixture.part] });
    const driven = new Driven(fixture, rootsIn(folder), options);
    try {
      for (let step = 0; step < STEPS; step++) {
        const [shown, meant] = await inTime(() => {
          const { outcome } = plain.run(fixture.part);
          const sheet = plain.sheet(fixture.part);
          report(fixture.part, outcome?.kind ?? 'failed', 0, sheet);
          return [driven.run(), sheet.text()];
        });
        assert.equal(comparable(shown, fixture.volatile), comparable(meant, fixture.volatile), `step ${step}`);
        for (const path of filesBelow(folder)) {
          if (random() < 0.3) continue;
          const text = readFileSync(path, 'latin1');
          const next = mutated(text, random, step % 5 === 4 && random() < 0.5);
          if (next !== text) writeFileSync(path, next, 'latin1');
        }
      }
      if (driven.replayed > 0) replayedParts.add(fixture.part);
    } finally {
      driven.close();
      plain.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** A part on this machine. */
function liveFixture(part: string): Fixture {
  return { name: part, part, folder: '', flags: [], volatile: [], onlyOurs: [], onlyPeer: [], peerFails: '', notHere: '' };
}

// Figures of the kernel's that no file holds. Routes stay as they are; of the others the series do.
for (const part of ['ethtool', 'network_route', 'perf', 'processes', 'qdisc', 'tcpstat', 'timex']) {
  test(`${part} of this machine: a replayed run shows what a run shows`, { skip: addonPath() === undefined }, async (context) => {
    const options = await optionsFrom([]);
    // One socket at least, listening.
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const plain = nodePages({ readers: nativeReaders(), roots: LIVE_ROOTS, options, parts: [part] });
    const driven = new Driven(liveFixture(part), LIVE_ROOTS, options);
    try {
      const { outcome } = plain.run(part);
      if (outcome?.kind !== 'ok') return context.skip('the kernel does not tell');
      const samples = (page: string): string => {
        const text = comparable(page, [], ['node_scrape_collector_success']);
        return part === 'network_route' ? text : text.replace(/ [^ ]*$/gm, '');
      };
      let before = '';
      let shown = '';
      let after = '';
      // Sockets and routes of others may come or go between two looks.
      const deadlineMs = systemClock.monotonicMs() + PATIENCE_MS;
      do {
        before = samples(plain.run(part).page);
        const former = driven.replayed;
        shown = samples(driven.run());
        after = samples(plain.run(part).page);
        if (driven.replayed > former && before === shown && shown === after) break;
      } while (systemClock.monotonicMs() < deadlineMs);
      assert.ok(driven.replayed > 0, 'no run was replayed');
      assert.notEqual(shown, '');
      assert.equal(shown, before);
      assert.equal(shown, after);
    } finally {
      server.close();
      driven.close();
      plain.close();
    }
  });
}

const MORE = (
  'arp bcache bcachefs bonding buddyinfo cgroups conntrack cpu_vulnerabilities cpufreq edac entropy fibrechannel hwmon infiniband ' +
  'interrupts kernel_hung ksmd lnstat mdadm meminfo_numa mountstats netclass nfs nfsd nvme nvmesubsystem os pcidevice ' +
  'powersupplyclass processes schedstat slabinfo softirqs softnet swap sysctl tapestats thermal_zone udp_queues watchdog xfrm xfs zfs zoneinfo'
).split(' ');

test('the parts of every machine are replayed', { skip: addonPath() === undefined }, () => {
  const parts = ['cpu', 'diskstats', 'filefd', 'filesystem', 'loadavg', 'meminfo', 'netdev', 'netstat', 'pressure', 'sockstat', 'stat', 'vmstat', ...MORE];
  assert.deepEqual(
    parts.filter((part) => !replayedParts.has(part)),
    [],
  );
});
