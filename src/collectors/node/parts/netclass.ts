import { lstatSync } from 'node:fs';
import { OK } from '../../../collect/contract.ts';
import { type DeviceFile, DeviceFiles, type FollowedFile } from '../device-files.ts';
import type { Filter } from '../filter.ts';
import { KeptSeries } from '../kept-series.ts';
import { LINK_STATISTICS, type LinkStatistic } from '../link-statistics.ts';
import { ATTRIBUTES, BYTES_PER_MEGABIT, FLAGS, INFO, isUntold, LIVE_TEXTS, SPEED, TEXTS, UP } from '../net-attributes.ts';
import { NETLINK_FAMILIES, NetclassNetlink } from '../netclass-netlink.ts';
import type { NodePart, PartReader, PartScope } from '../part.ts';
import { part as netdev, netdevFamilies } from './netdev.ts';

const IFF_UP = 1;
/** With more devices than this, what only the administrator changes is read once a minute. */
const FEW_DEVICES = 64;
const SETTINGS_MS = 60_000;

interface Device {
  readonly name: string;
  readonly numbers: readonly { readonly file: DeviceFile; readonly isSpeed: boolean; readonly series: KeptSeries }[];
  readonly texts: Readonly<Record<(typeof TEXTS)[number], DeviceFile>>;
  readonly flags: DeviceFile;
  readonly index: DeviceFile;
  readonly up: KeptSeries;
  info: KeptSeries | undefined;
  /** What `info` was made from. */
  isUp: boolean | undefined;
}

/**
 * One small file per attribute of class/net/DEVICE below the sysfs root. Two native calls read them all; text is looked at only
 * where it has changed.
 */
function openSysfs(scope: PartScope, filter: Filter): PartReader {
  const withoutInvalid = scope.options.isOn('ignore-invalid-speed');
  const folder = scope.directory(scope.sys('class/net'));
  const live = new DeviceFiles(scope.readers, scope.monotonicMs);
  const settings = new DeviceFiles(scope.readers, scope.monotonicMs);
  let devices: readonly Device[] = [];
  let settingsDueMs = Number.NEGATIVE_INFINITY;

  const follow = (name: string): Device => {
    const number = (file: string): DeviceFile => {
      const isLive = ATTRIBUTES.some((row) => row.file === file && row.isLive);
      return (isLive ? live : settings).number(`${folder.path}/${name}/${file}`);
    };
    const text = (file: string): DeviceFile => (LIVE_TEXTS.has(file) ? live : settings).text(`${folder.path}/${name}/${file}`);
    return {
      name,
      numbers: ATTRIBUTES.map(({ file, family }) => ({ file: number(file), isSpeed: file === SPEED, series: new KeptSeries(family, [name]) })),
      texts: { address: text('address'), broadcast: text('broadcast'), duplex: text('duplex'), ifalias: text('ifalias'), operstate: text('operstate') },
      flags: number(FLAGS),
      index: number('ifindex'),
      up: new KeptSeries(UP, [name]),
      info: undefined,
      isUp: undefined,
    };
  };
  const rebuild = (): void => {
    // Files such as bonding_masters stand among the links.
    const names = folder.names.filter((name) => filter.keeps(name) && lstatSync(`${folder.path}/${name}`, { throwIfNoEntry: false })?.isFile() === false);
    settings.rebuild(() => live.rebuild(() => (devices = names.map(follow))));
    settingsDueMs = Number.NEGATIVE_INFINITY;
  };
  /** A device made anew under its old name has another number. */
  const isReplaced = (before: readonly number[]): boolean => devices.some(({ index }, i) => index.value !== before[i]);
  const read = (): boolean => {
    const before = devices.map(({ index }) => index.value);
    let hasChanged = live.scan();
    const now = scope.monotonicMs();
    if (devices.length <= FEW_DEVICES || now >= settingsDueMs || isReplaced(before)) {
      if (settings.scan()) hasChanged = true;
      settingsDueMs = now + SETTINGS_MS;
    }
    return hasChanged;
  };
  const describe = (device: Device, isUp: boolean | undefined): KeptSeries => {
    const { address, broadcast, duplex, ifalias, operstate } = device.texts;
    const adminstate = isUp === undefined ? 'unknown' : isUp ? 'up' : 'down';
    return new KeptSeries(INFO, [address.text, adminstate, broadcast.text, device.name, duplex.text, ifalias.text, operstate.text]);
  };

  return {
    collect(sheet) {
      const scan = folder.scan();
      if (scan === 'absent') return scope.missing(folder);
      if (scan === 'changed') rebuild();
      const hasChanged = read();
      let problem: Error | undefined;
      for (const device of devices) {
        const { numbers, texts, flags, up } = device;
        const isUp = flags.errno !== 0 ? undefined : (flags.value & IFF_UP) !== 0;
        if (hasChanged || device.info === undefined || isUp !== device.isUp) {
          device.info = describe(device, isUp);
          device.isUp = isUp;
        }
        for (const name of TEXTS) if (texts[name].errno !== 0 && !isUntold(texts[name])) problem ??= texts[name].problem();
        up.set(sheet, texts.operstate.text === 'up' ? 1 : 0);
        device.info.set(sheet, 1);
        for (const { file, isSpeed, series } of numbers) {
          if (file.errno !== 0) {
            if (!isUntold(file)) problem ??= file.problem();
            continue;
          }
          // What is no number counts as 0, as in the peer.
          const value = Number.isNaN(file.value) ? 0 : file.value;
          if (!isSpeed) series.set(sheet, value);
          else if (value >= 0 || !withoutInvalid) series.set(sheet, value * BYTES_PER_MEGABIT);
        }
      }
      if (problem !== undefined) throw problem;
      return OK;
    },
    replay(sheet, steps) {
      if (!folder.replay(steps)) return;
      const figures = devices.flatMap(({ numbers }) => numbers.map(({ file, series, isSpeed }): FollowedFile => [file, isSpeed ? undefined : series]));
      live.replay(sheet, steps, figures);
      if (devices.length > FEW_DEVICES) steps.until(settingsDueMs);
      else settings.replay(sheet, steps, figures);
    },
    close() {
      live.close();
      settings.close();
    },
  };
}

/** Counters that are printed besides: where netdev is on, only those that it does not print. */
function countersOf(scope: PartScope): readonly LinkStatistic[] {
  if (!scope.options.isOn('rtnl-with-stats')) return [];
  if (!scope.isPartOn('netdev')) return LINK_STATISTICS;
  const options = scope.optionsOf(netdev);
  const taken = netdevFamilies({ isDetailed: options.isOn('enable-detailed-metrics'), isNetlink: options.isOn('netlink') });
  return LINK_STATISTICS.filter(({ family }) => !taken.has(family.name));
}

/**
 * class/net/DEVICE below the sysfs root, or what netlink says of the same.
 */
export const part: NodePart = {
  name: 'netclass',
  enabledByDefault: true,
  families: [UP, INFO, ...ATTRIBUTES.map(({ family }) => family), ...NETLINK_FAMILIES],
  options: [
    { flag: 'ignored-devices', kind: 'regexp', default: '^$', help: 'devices: leave out those that match' },
    { flag: 'ignore-invalid-speed', kind: 'boolean', default: false, help: 'leave out speeds that the driver does not know' },
    { flag: 'netlink', kind: 'boolean', default: false, help: 'ask the kernel by netlink instead of reading sysfs; prints other names of devices as well' },
    { flag: 'rtnl-with-stats', kind: 'boolean', default: false, help: 'with netlink: print the counters of each device that netdev does not print' },
  ],
  open(scope) {
    const filter = scope.options.filter('ignored-devices', '');
    if (!scope.options.isOn('netlink')) return openSysfs(scope, filter);
    if (scope.readers.native) return new NetclassNetlink(scope, filter, countersOf(scope));
    scope.warn('netclass: the native readers are not built and node has no netlink sockets; sysfs is read instead');
    return openSysfs(scope, filter);
  },
};
