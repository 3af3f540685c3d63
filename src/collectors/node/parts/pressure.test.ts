import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bothReaders, partOn } from '../../../../test/compare/node-tree.ts';
import { ReaderError, type Readers, type Source, type SourceFormat } from '../../../readers/readers.ts';

const FILE = (total: number): string => `some avg10=0.00 avg60=0.00 avg300=0.00 total=${total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`;

/** Readers for which the kernel answers ENOTSUP, as with psi=0: at the read, not at the open. */
function switchedOff(readers: Readers, code: string): Readers {
  const source = (path: string, format?: SourceFormat): Source => {
    const whole = readers.source(path, format);
    return Object.create(whole, {
      scan: {
        value: () => {
          throw new ReaderError(code, path);
        },
      },
    }) as Source;
  };
  return Object.create(readers, { source: { value: source } }) as Readers;
}

for (const [name, readers] of bothReaders()) {
  for (const code of ['ENOTSUP', 'EOPNOTSUPP']) {
    test(`psi=0 is no data and says how to switch it on: ${code} (${name})`, (context) => {
      const { pages } = partOn(context, 'pressure', { 'proc/pressure/cpu': FILE(1) }, { readers: switchedOff(readers, code) });
      const { outcome, error } = pages.run('pressure');
      assert.equal(error, undefined);
      assert.ok(outcome?.kind === 'absent' && outcome.why.includes('psi=1'));
    });
  }

  test(`what was read before a line was missing stays (${name})`, (context) => {
    const { pages } = partOn(
      context,
      'pressure',
      { 'proc/pressure/cpu': FILE(2_500_000), 'proc/pressure/io': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n' },
      { readers },
    );
    const { outcome, page } = pages.run('pressure');
    assert.equal(outcome?.kind, 'absent');
    assert.match(page, /node_pressure_cpu_waiting_seconds_total 2\.5\n/);
    assert.doesNotMatch(page, /node_pressure_io/);
  });
}
