import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeBoard } from '../src/collect/board.ts';
import type { CollectorDefinition, Ending, HostModule, NetworkModule, Part, Roots, Scope } from '../src/collect/contract.ts';
import { CollectError, ROLES } from '../src/collect/contract.ts';
import { discoverCollectors } from '../src/collect/discover.ts';
import { Sheet } from '../src/collect/sheet.ts';
import type { Family } from '../src/model/family.ts';
import { loadReaders } from '../src/readers/load.ts';
import { readFamilies } from './daemon/exposition.ts';

/** What holds for every collector, whoever wrote it. */

const definitions = await discoverCollectors();
const ENDINGS: readonly Ending[] = ['ok', 'absent', 'failed', 'timeout', 'down'];
const TYPES = ['counter', 'gauge', 'untyped', 'histogram', 'summary'];

const folder = mkdtempSync(join(tmpdir(), 'exporterd-contract-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const newSheet = (): Sheet => new Sheet(loadReaders(), { maxSeries: 1000, maxBytes: 1 << 20 });

function familiesOf(definition: CollectorDefinition): Family[] {
  return definition.parts.flatMap((part) => part.families);
}

test('there are collectors', () => {
  assert.ok(definitions.length >= 5, definitions.map(({ name }) => name).join());
  assert.equal(new Set(definitions.map(({ name }) => name)).size, definitions.length);
});

test('a family that several collectors have is the same in all', () => {
  const known = new Map<string, Family>();
  for (const one of definitions.flatMap(familiesOf)) {
    const first = known.get(one.name) ?? one;
    known.set(one.name, first);
    assert.deepEqual([one.type, one.help], [first.type, first.help], one.name);
  }
});

for (const definition of definitions) {
  const { name } = definition;

  test(`${name}: names are legal, parts unique, roles known`, () => {
    assert.match(name, /^[a-z][a-z0-9_]*$/);
    assert.ok(ROLES.includes(definition.role), definition.role);
    assert.notEqual(definition.replaces, '');
    const parts = definition.parts.map((part) => part.name);
    assert.ok(parts.length > 0);
    assert.equal(new Set(parts).size, parts.length, parts.join());
    // What `collect[]=`, flags and variables can say.
    for (const part of parts) assert.match(part, /^[a-zA-Z][a-zA-Z0-9_.-]*$/);
    assert.ok(definition.worker.href.endsWith(`/collectors/${name}/collect.js`), definition.worker.href);
  });

  test(`${name}: families have legal names, a type, a help text that is a sentence, and sorted labels`, () => {
    const wrong: string[] = [];
    for (const { name: part, families } of definition.parts) {
      const names = families.map((family) => family.name);
      if (new Set(names).size !== names.length) wrong.push(`${part}: a family twice: ${names.filter((one, i) => names.indexOf(one) !== i).join()}`);
      for (const family of families) {
        const where = `${part} ${family.name}`;
        // A star stands for names that come from data.
        if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*\*?$/.test(family.name)) wrong.push(`${where}: not a legal name`);
        if (!TYPES.includes(family.type)) wrong.push(`${where}: type ${family.type}`);
        if (!/^\S[^\n]*\.$/.test(family.help)) wrong.push(`${where}: help text "${family.help}"`);
        if (JSON.stringify(family.labels) !== JSON.stringify([...new Set(family.labels)].sort())) wrong.push(`${where}: labels ${family.labels.join()}`);
        for (const label of family.labels) if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label) || label.startsWith('__')) wrong.push(`${where}: label ${label}`);
        // `target` is what merged pages add.
        if (family.labels.includes('target') && definition.pool === 'network') wrong.push(`${where}: label target is ours`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  test(`${name}: without configuration it has targets exactly when it is on by default, and its options have defaults`, () => {
    const options = definition.options.parse({});
    const never = (path: string): string => assert.fail(`reads the secret ${path}`);
    const targets = definition.targets(options, {}, never);
    assert.equal(targets.length > 0, definition.enabledByDefault);
    for (const target of targets) assert.match(target.name, /^[A-Za-z0-9_.-]+$/);
    if (definition.pool === 'host')
      assert.deepEqual(
        targets.map((target) => target.name),
        ['local'],
      );
    assert.doesNotThrow(() => structuredClone({ options, targets }), 'what is sent to threads can be cloned');
    assert.ok(definition.parts.some((part) => part.enabledByDefault));
  });

  test(`${name}: every ending of every part can be reported on a fresh sheet, with families it has`, () => {
    const known = new Map(familiesOf(definition).map((family) => [family.name, family]));
    for (const { name: part } of definition.parts) {
      for (const ending of ENDINGS) {
        const sheet = newSheet();
        // Twice, since a sheet is used for every run of its part.
        for (let run = 0; run < 2; run++) {
          sheet.begin();
          definition.report(part, ending, 0.25, sheet);
        }
        const text = sheet.text();
        for (const family of text === '' ? [] : readFamilies(text)) {
          assert.equal(known.get(family.name)?.type, family.type, `${part} ${ending}: ${family.name} is not among its families`);
          assert.equal(known.get(family.name)?.help, family.help);
        }
      }
    }
  });

  const elsewhere = definition.parts.filter((part) => part.elsewhere !== undefined);
  if (elsewhere.length > 0) {
    test(`${name}: on an empty machine every part that runs elsewhere ends, again and again, and leaves nothing open`, async () => {
      for (const part of elsewhere) await elsewhereOnEmptyMachine(definition, part);
      const before = descriptors();
      for (const part of elsewhere) await elsewhereOnEmptyMachine(definition, part);
      assert.deepEqual(descriptors(), before);
    });
  }

  if (definition.pool === 'host') {
    test(`${name}: on an empty machine every part ends, again and again, prints only families it has, and leaves nothing open`, async () => {
      const module = (await import(definition.worker.href)) as HostModule;
      assert.equal(module.report, definition.report);
      await module.prepare?.(here(definition).map((part) => part.name));
      // Once unmeasured: what a module opens for good at its first use is no leak.
      await onEmptyMachine(definition, module);
      const before = descriptors();
      for (let session = 0; session < 5; session++) await onEmptyMachine(definition, module);
      assert.deepEqual(descriptors(), before);
    });
  }
}

/** Whether a table has the name, by itself or by rule (`pg_settings_*`). */
function isAmong(families: readonly Family[], name: string): boolean {
  return families.some((family) => family.name === name || (family.name.endsWith('*') && name.startsWith(family.name.slice(0, -1))));
}

/** The parts that run in the collector's own pool. */
function here(definition: CollectorDefinition): readonly Part[] {
  return definition.parts.filter((part) => part.elsewhere === undefined);
}

function emptyMachine(definition: CollectorDefinition, parts: readonly Part[], monotonicMs: () => number): Scope {
  const root = mkdtempSync(join(folder, 'root-'));
  const roots: Roots = { procfs: join(root, 'proc'), sysfs: join(root, 'sys'), rootfs: root, udevData: join(root, 'udev') };
  for (const path of Object.values(roots)) mkdirSync(path as string, { recursive: true });
  const options = definition.options.parse({});
  const [target] = definition.targets(options, { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${root}/bus` }, () => '');
  assert.ok(target !== undefined);
  return {
    options,
    roots,
    target,
    parts: parts.map((part) => part.name),
    readers: loadReaders(),
    deadlineMs: 1000,
    ...(definition.hasBoard === true ? { board: makeBoard() } : {}),
    monotonicMs,
    wallMs: () => 1.7e12 + monotonicMs(),
    warn: () => undefined,
  };
}

/** Opens a session of the part's own, runs it twice, closes. Whether anything answers is not known: on loopback something may. */
async function elsewhereOnEmptyMachine(definition: CollectorDefinition, part: Part): Promise<void> {
  const module = (await import(part.elsewhere?.worker.href ?? '')) as NetworkModule;
  assert.equal(module.report, definition.report);
  await module.prepare?.([part.name]);
  let monotonicMs = 1000;
  const session = module.open(emptyMachine(definition, [part], () => (monotonicMs += 1)));
  try {
    for (let run = 0; run < 2; run++) {
      const signal = AbortSignal.timeout(5000);
      const sheet = newSheet();
      sheet.begin();
      try {
        await session.begin(signal);
        await session.collect(part.name, sheet, signal);
      } catch (error) {
        assert.ok(error instanceof CollectError, `${part.name}: ${error instanceof Error ? error.stack : String(error)}`);
      }
      const text = sheet.text();
      for (const family of text === '' ? [] : readFamilies(text)) assert.ok(isAmong(part.families, family.name), family.name);
    }
  } finally {
    await session.close();
    await session.close();
  }
}

/** Opens a session on empty roots, runs every part twice, closes. */
async function onEmptyMachine(definition: CollectorDefinition, module: HostModule): Promise<void> {
  let monotonicMs = 1000;
  const session = module.open(emptyMachine(definition, here(definition), () => monotonicMs));
  try {
    for (const { name: part, families } of here(definition)) {
      const sheet = newSheet();
      for (let run = 0; run < 2; run++) {
        // A minute later, so that what is missing is looked for again.
        monotonicMs += 61_000;
        sheet.begin();
        let kind: Ending;
        try {
          const outcome = session.collect(part, sheet);
          kind = outcome.kind;
          if (outcome.kind === 'absent') assert.notEqual(outcome.why, '', part);
        } catch (error) {
          kind = 'failed';
          assert.ok(error instanceof Error);
          // A mistake of ours, not of the machine.
          assert.ok(!(error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError), `${part}: ${error.stack}`);
          assert.match(error.message, /\S/);
        }
        definition.report(part, kind, 0.1, sheet);
        const text = sheet.text();
        for (const family of text === '' ? [] : readFamilies(text))
          assert.ok(isAmong(families, family.name), `${part} prints ${family.name}, which is not among its families`);
      }
    }
  } finally {
    session.close();
    session.close();
  }
}

/** Open descriptors of this process, that of the count itself included. */
function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
