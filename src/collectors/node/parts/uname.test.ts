import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bothReaders, partOn } from '../../../../test/compare/node-tree.ts';
import type { Readers, Uname } from '../../../readers/readers.ts';

for (const [name, readers] of bothReaders()) {
  test(`a machine that is renamed has its new name in the next run, and only that (${name})`, (context) => {
    const answer: Uname = { sysname: 'Linux', nodename: 'old', release: '6.1.0', version: '#1 SMP "quoted"', machine: 'x86_64', domainname: '(none)' };
    let nodename = 'old';
    const renamed = Object.create(readers, { uname: { value: () => ({ ...answer, nodename }) } }) as Readers;
    const { run } = partOn(context, 'uname', {}, { readers: renamed });
    const page = (node: string): string =>
      `# TYPE node_uname_info gauge\nnode_uname_info{domainname="(none)",machine="x86_64",nodename="${node}",release="6.1.0",sysname="Linux",version="#1 SMP \\"quoted\\""} 1\n`;
    assert.equal(run(), page('old'));
    nodename = 'new';
    assert.equal(run(), page('new'));
  });
}
