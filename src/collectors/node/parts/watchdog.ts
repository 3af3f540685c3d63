import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import { KeptSeries } from '../kept-series.ts';
import type { NodePart } from '../part.ts';

function gauge(name: string, help: string): Family {
  return family(`node_watchdog_${name}`, 'gauge', help, ['name']);
}

const NUMBERS: readonly (readonly [file: string, family: Family])[] = [
  ['bootstatus', gauge('bootstatus', 'Bits that say why the machine was booted (WDIOF_*).')],
  ['fw_version', gauge('fw_version', 'Version of the firmware of a watchdog.')],
  ['nowayout', gauge('nowayout', 'Whether a watchdog that was started can no longer be stopped.')],
  ['timeleft', gauge('timeleft_seconds', 'Time until a watchdog resets the machine, in seconds.')],
  ['timeout', gauge('timeout_seconds', 'Time after which a watchdog that nobody feeds resets the machine, in seconds.')],
  ['pretimeout', gauge('pretimeout_seconds', 'Time before the reset at which a watchdog warns, in seconds.')],
  ['access_cs0', gauge('access_cs0', 'Whether an Aspeed controller that was booted from its second flash may see the first one again.')],
];

/** In wire order, but for `name`, which follows `identity`. */
const TEXTS = ['identity', 'options', 'pretimeout_governor', 'state', 'status'];
const INFO = family('node_watchdog_info', 'gauge', 'What the driver says of a watchdog, as labels.', ['name', ...TEXTS]);

interface Watchdog {
  readonly name: string;
  readonly numbers: readonly { readonly file: DeviceFile; readonly series: KeptSeries }[];
  readonly texts: readonly DeviceFile[];
}

/** class/watchdog/NAME below the sysfs root (ABI/testing/sysfs-class-watchdog); every attribute may be missing. */
export const part: NodePart = {
  name: 'watchdog',
  enabledByDefault: true,
  families: [...NUMBERS.map(([, family]) => family), INFO],
  open(scope) {
    const folder = scope.directory(scope.sys('class/watchdog'));
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    const info = scope.constants();
    let watchdogs: readonly Watchdog[] = [];

    const follow = (name: string): Watchdog => ({
      name,
      numbers: NUMBERS.map(([file, family]) => ({ file: files.number(`${folder.path}/${name}/${file}`), series: new KeptSeries(family, [name]) })),
      texts: TEXTS.map((file) => files.text(`${folder.path}/${name}/${file}`)),
    });

    const describe = (): void => {
      info.clear();
      for (const { name, texts } of watchdogs) {
        const [identity = '', ...others] = texts.map(({ text }) => text);
        info.add(INFO, [identity, name, ...others], 1);
      }
    };

    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return scope.missing(folder);
        if (scan === 'changed') watchdogs = files.rebuild(() => folder.names.map(follow));
        if (files.scan() || scan === 'changed') describe();
        let problem: Error | undefined;
        for (const { numbers, texts } of watchdogs) {
          for (const { file, series } of numbers) {
            if (!Number.isNaN(file.value)) series.set(sheet, file.value);
            else if (!file.isMissing()) problem ??= file.problem();
          }
          for (const file of texts) if (file.errno !== 0 && !file.isMissing()) problem ??= file.problem();
        }
        info.collect(sheet);
        if (problem !== undefined) throw problem;
        return OK;
      },
      replay(sheet, steps) {
        if (!folder.replay(steps)) return;
        files.replay(
          sheet,
          steps,
          watchdogs.flatMap(({ numbers }) => numbers.map(({ file, series }) => [file, series] as const)),
        );
      },
      close: () => files.close(),
    };
  },
};
