import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatNumber } from './number.ts';

const TABLE: readonly (readonly [number, string])[] = [
  [0, '0'],
  // writeFloat of the Go library compares with 0 before it formats.
  [-0, '0'],
  [1, '1'],
  [-1, '-1'],
  [Number.NaN, 'NaN'],
  [Number.POSITIVE_INFINITY, '+Inf'],
  [Number.NEGATIVE_INFINITY, '-Inf'],
  [0.1, '0.1'],
  [0.1 + 0.2, '0.30000000000000004'],
  [100000.5, '100000.5'],
  [999999, '999999'],
  [999999.5, '999999.5'],
  [1e6, '1e+06'],
  [-1e6, '-1e+06'],
  [1000000.5, '1.0000005e+06'],
  [1234567, '1.234567e+06'],
  [1763736255.1234567, '1.7637362551234567e+09'],
  [2 ** 53, '9.007199254740992e+15'],
  [2 ** 64, '1.8446744073709552e+19'],
  [1e21, '1e+21'],
  [1e100, '1e+100'],
  [Number.MAX_VALUE, '1.7976931348623157e+308'],
  [0.0001, '0.0001'],
  [0.000123, '0.000123'],
  [0.00009999, '9.999e-05'],
  [0.00001, '1e-05'],
  [1.5e-10, '1.5e-10'],
  [5e-324, '5e-324'],
  [-2.2250738585072014e-308, '-2.2250738585072014e-308'],
];

for (const [value, text] of TABLE) {
  test(`${Object.is(value, -0) ? '-0' : value} is printed as ${text}`, () => {
    assert.equal(formatNumber(value), text);
  });
}

/** Bit patterns, integers and decimals; the same in every run (Knuth's 64-bit linear congruential generator). */
function* randomDoubles(count: number): Generator<number> {
  const word = new BigUint64Array(1);
  const double = new Float64Array(word.buffer);
  let state = 0x1234_5678_9abc_def0n;
  for (let i = 0; i < count; i += 1) {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    word[0] = state ^ (state >> 29n);
    const value = double[0] ?? 0;
    yield value;
    yield Math.trunc(value % 2 ** 60);
    yield Math.round((value % 1e7) * 1000) / 1000;
  }
}

test('printed numbers read back as the same double', () => {
  for (const value of randomDoubles(20_000)) {
    const text = formatNumber(value);
    if (Number.isFinite(value)) assert.equal(Number(text), value + 0, text);
  }
});

const GO_PROGRAM = `package main

import ("bufio"; "fmt"; "math"; "os"; "strconv")

func main() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		bits, _ := strconv.ParseUint(in.Text(), 16, 64)
		f := math.Float64frombits(bits)
		if f == 0 { fmt.Println("0"); continue }
		fmt.Println(strconv.FormatFloat(f, 'g', -1, 64))
	}
}
`;

test('Go prints the same', (t) => {
  if (spawnSync('go', ['version']).status !== 0) {
    t.skip('no go on PATH');
    return;
  }
  const values = [...TABLE.map(([value]) => value), ...randomDoubles(3000)];
  for (let exponent = -1074; exponent < 1024; exponent += 1) values.push(2 ** exponent);
  const bits = new BigUint64Array(new Float64Array(values).buffer);
  const folder = mkdtempSync(join(tmpdir(), 'exporterd-go-'));
  try {
    writeFileSync(join(folder, 'main.go'), GO_PROGRAM);
    const run = spawnSync('go', ['run', join(folder, 'main.go')], {
      input: [...bits].map((word) => word.toString(16)).join('\n'),
      encoding: 'utf8',
      env: { ...process.env, GO111MODULE: 'off', GOFLAGS: '' },
    });
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(values.map(formatNumber), run.stdout.trimEnd().split('\n'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
