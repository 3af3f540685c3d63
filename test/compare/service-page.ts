/** Runs a part of the node collector that asks another program, as the network lane does, and gives its page as text. */
import { CollectError } from '../../src/collect/contract.ts';
import { Sheet } from '../../src/collect/sheet.ts';
import { open, prepare } from '../../src/collectors/node/collect-services.ts';
import { serviceNames } from '../../src/collectors/node/discover.ts';
import type { NodeOptions } from '../../src/collectors/node/options.ts';
import { reportNode } from '../../src/collectors/node/report.ts';
import type { ServiceSettings } from '../../src/collectors/node/service-part.ts';
import { loadReaders } from '../../src/readers/load.ts';
import { LIVE_ROOTS } from './node-page.ts';

await prepare(serviceNames());

export interface ServiceRun {
  /** With HELP lines and node_scrape_collector_success. */
  readonly page: string;
  readonly error: CollectError | undefined;
}

export interface ServicePage {
  /** One run on the part's sheet, which is kept. What is thrown that is no CollectError is thrown on. */
  run(deadlineMs?: number): Promise<ServiceRun>;
  /** Moves the clock that decides what is asked again. */
  clock: { nowMs: number };
  close(): Promise<void>;
}

export function servicePage(part: string, options: NodeOptions[string], systemBus = 'unix:path=/nowhere/bus'): ServicePage {
  const settings: ServiceSettings = { systemBus };
  const clock = { nowMs: 0 };
  const session = open({
    options: { [part]: options },
    roots: LIVE_ROOTS,
    target: { name: 'local', settings, address: 'local' },
    parts: [part],
    readers: loadReaders(),
    monotonicMs: () => performance.now() + clock.nowMs,
    wallMs: () => Date.now(),
    warn: () => undefined,
  });
  const sheet = new Sheet(loadReaders(), { maxSeries: 1_000_000, maxBytes: 64 << 20 });
  return {
    clock,
    async run(deadlineMs = 20_000) {
      sheet.begin();
      try {
        const outcome = await session.collect(part, sheet, AbortSignal.timeout(deadlineMs));
        reportNode(part, outcome.kind, 0, sheet);
        return { page: sheet.text(), error: undefined };
      } catch (error) {
        if (!(error instanceof CollectError)) throw error;
        reportNode(part, 'failed', 0, sheet);
        return { page: sheet.text(), error };
      }
    },
    close: () => session.close(),
  };
}
