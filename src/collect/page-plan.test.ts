import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diceFrom } from '../../test/support/random.ts';
import { type Family, family } from '../model/family.ts';
import type { PagePlan } from '../readers/readers.ts';
import { familyHeader, PagePlans, type PlannedSeries, seriesPrefix } from './page-plan.ts';
import type { Label, Variant } from './variant.ts';

/** Series in a plain list; the plan under test sees nothing else. */
interface Plain extends PlannedSeries {
  labels: Label[];
  /** Not printed on this variant. */
  hiddenOn: string;
}

class World {
  readonly series: (Plain | undefined)[] = [];
  readonly families = new Map<string, Family>();
  readonly plans: PagePlans<Plain>;
  shape = 0;

  constructor() {
    const { series } = this;
    this.plans = new PagePlans({
      series,
      get count() {
        return series.filter((one) => one !== undefined).length;
      },
      family: (name) => this.families.get(name) as Family,
      labels: (one, variant) => (one.hiddenOn === variant.name ? undefined : [...one.labels, ...variant.labels]),
    });
  }

  add(of: Family, labels: Label[], hiddenOn = '-'): void {
    this.families.set(of.name, this.families.get(of.name) ?? of);
    const free = this.series.indexOf(undefined);
    const slot = free < 0 ? this.series.length : free;
    const one: Plain = { family: of, suffix: '', slot, version: 0, labels, hiddenOn };
    this.series[slot] = one;
    this.plans.note(one);
    this.shape += 1;
  }

  rename(slot: number, labels: Label[]): void {
    const one = this.series[slot] as Plain;
    one.labels = labels;
    one.version += 1;
    this.plans.note(one);
    this.shape += 1;
  }

  remove(slot: number): void {
    (this.series[slot] as Plain).version = -1;
    this.series[slot] = undefined;
    this.shape += 1;
  }

  /** The slow and obvious plan: everything rendered and sorted. */
  expected(variant: Variant): string[] {
    const lines: string[] = [];
    const all = this.series.filter((one): one is Plain => one !== undefined && one.hiddenOn !== variant.name);
    for (const name of [...new Set(all.map((one) => one.family.name))].sort()) {
      const rows = all.filter((one) => one.family.name === name).map((one) => ({ slot: one.slot, labels: [...one.labels, ...variant.labels] }));
      rows.sort((a, b) => a.labels.length - b.labels.length || Buffer.compare(valuesOf(a.labels), valuesOf(b.labels)));
      lines.push(familyHeader(this.families.get(name) as Family), ...rows.map(({ slot, labels }) => `${slot} ${seriesPrefix(name, labels)}`));
    }
    return lines;
  }

  check(variant: Variant, when: string): void {
    assert.deepEqual(linesOf(this.plans.plan(variant, this.shape)), this.expected(variant), when);
  }
}

function valuesOf(labels: readonly Label[]): Buffer {
  return Buffer.from(labels.map(([, value]) => value).join('\u0000'));
}

/** A plan as the encoder walks it: headers, and prefixes with the slot before them. */
function linesOf({ blob, ops, families }: PagePlan): string[] {
  const lines: string[] = [];
  let at = 0;
  let op = 0;
  const take = (length: number): string => Buffer.from(blob.subarray(at, (at += length))).toString();
  for (let f = 0; f < families; f++) {
    lines.push(take(ops[op] as number));
    const count = ops[op + 1] as number;
    op += 2;
    for (let s = 0; s < count; s++, op += 2) lines.push(`${ops[op + 1]} ${take(ops[op] as number)}`);
  }
  assert.equal(at, blob.length, 'nothing is left in the blob');
  assert.equal(op, ops.length, 'nothing is left in the operations');
  return lines;
}

const FAMILIES = ['c_third', 'a_first', 'b_second'].map((name) => family(name, 'gauge', name));
const VARIANTS: readonly Variant[] = [
  { name: '', labels: [] },
  { name: 'target', labels: [['target', 'x']] },
  { name: 'few', labels: [] },
];

test('a plan made from the last one is the plan made from nothing, whatever came, went and was renamed', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = diceFrom(seed);
    const world = new World();
    let serial = 0;
    const labels = (): Label[] => {
      serial += 1;
      const value = `${['', '\u{1F600}', '\uffee'][random(3)]}${random(100)} ${serial}`;
      return random(4) === 0
        ? [['a', value]]
        : [
            ['a', `v${random(9)}`],
            ['b', value],
          ];
    };
    for (let i = 0; i < 120; i++) world.add(FAMILIES[random(3)] as Family, labels(), random(5) === 0 ? 'few' : '-');
    for (let step = 0; step < 120; step++) {
      for (let change = random(5); change > 0; change--) {
        const known = world.series.flatMap((one, slot) => (one === undefined ? [] : [slot]));
        const slot = known[random(known.length)] as number;
        const kind = random(3);
        if (kind === 0) world.add(FAMILIES[random(3)] as Family, labels(), random(5) === 0 ? 'few' : '-');
        else if (kind === 1) world.rename(slot, labels());
        else world.remove(slot);
      }
      // Plans of different age: each variant is asked for now and then only.
      for (const variant of VARIANTS) if (random(3) === 0) world.check(variant, `seed ${seed}, step ${step}, variant ${variant.name}`);
    }
    for (const variant of VARIANTS) world.check(variant, `seed ${seed}, at the end`);
  }
});

test('a family that loses its last series loses its header, and gets the one of now when it comes back', () => {
  const world = new World();
  for (let i = 0; i < 20; i++) world.add(FAMILIES[0] as Family, [['a', `${i}`]]);
  world.add(FAMILIES[1] as Family, [['a', 'x']]);
  world.check(VARIANTS[0] as Variant, 'both');
  world.remove(20);
  world.check(VARIANTS[0] as Variant, 'without a_first');
  world.families.set('a_first', family('a_first', 'counter', 'Other words.'));
  world.add(FAMILIES[1] as Family, [['a', 'y']]);
  world.check(VARIANTS[0] as Variant, 'a_first again');
  assert.match(world.expected(VARIANTS[0] as Variant)[0] ?? '', /Other words/);
});

test('a plan that is never asked for again does not make the log grow without end', () => {
  const world = new World();
  for (let i = 0; i < 10; i++) world.add(FAMILIES[0] as Family, [['a', `${i}`]]);
  world.check(VARIANTS[1] as Variant, 'once');
  for (let i = 0; i < 3000; i++) {
    world.rename(i % 10, [['a', `renamed ${i}`]]);
    if (i % 100 === 0) world.check(VARIANTS[0] as Variant, `rename ${i}`);
  }
  world.check(VARIANTS[1] as Variant, 'after a long time');
});
