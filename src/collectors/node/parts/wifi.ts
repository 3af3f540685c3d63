import { absent, OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { Absence } from '../absence.ts';
import { errnoOf } from '../file-error.ts';
import { type Nl80211, openNl80211, type Station } from '../nl80211.ts';
import type { NodePart } from '../part.ts';

const FREQUENCY = family('node_wifi_interface_frequency_hertz', 'gauge', 'Frequency that a wireless device is on, in hertz; 0 without a channel.', ['device']);
const INFO = family('node_wifi_station_info', 'gauge', 'The network that a wireless device belongs to, as labels.', ['device', 'bssid', 'ssid', 'mode']);

interface Figure {
  readonly family: Family;
  readonly key: Exclude<keyof Station, 'address'>;
}

function figure(name: string, key: Figure['key'], help: string): Figure {
  return { family: family(`node_wifi_station_${name}`, name.endsWith('_total') ? 'counter' : 'gauge', help, ['device', 'mac_address']), key };
}

const FIGURES: readonly Figure[] = [
  figure('connected_seconds_total', 'connectedSeconds', 'Time since a station was connected, in seconds.'),
  figure('inactive_seconds', 'inactiveSeconds', 'Time since a station was last heard of, in seconds.'),
  figure('receive_bits_per_second', 'receiveBitsPerSecond', 'Rate at which is received from a station, in bits per second.'),
  figure('transmit_bits_per_second', 'transmitBitsPerSecond', 'Rate at which is sent to a station, in bits per second.'),
  figure('receive_bytes_total', 'receiveBytes', 'Bytes received from a station.'),
  figure('transmit_bytes_total', 'transmitBytes', 'Bytes sent to a station.'),
  figure('signal_dbm', 'signalDbm', 'Strength of the last signal of a station, in dBm.'),
  figure('transmit_retries_total', 'transmitRetries', 'Packets to a station that were sent again.'),
  figure('transmit_failed_total', 'transmitFailed', 'Packets to a station that could not be sent.'),
  figure('beacon_loss_total', 'beaconLoss', 'Times that the beacon of a station was missed.'),
  figure('transmitted_packets_total', 'transmittedPackets', 'Packets sent to a station.'),
  figure('received_packets_total', 'receivedPackets', 'Packets received from a station.'),
];

/** What a device tells; nothing where it does not know (ENOENT). */
function known<T>(ask: () => T, nothing: T): T {
  try {
    return ask();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return nothing;
  }
}

/** Wireless devices, their networks and stations, from nl80211. */
export const part: NodePart = {
  name: 'wifi',
  enabledByDefault: false,
  families: [FREQUENCY, INFO, ...FIGURES.map(({ family }) => family)],
  open(scope) {
    const absence = new Absence(scope.monotonicMs);
    let kernel: Nl80211 | undefined;
    return {
      collect(sheet) {
        if (kernel === undefined && !absence.isRecent()) kernel = openNl80211(scope.readers);
        if (kernel === undefined) {
          if (!absence.isRecent()) absence.note();
          return absent('no nl80211 in this kernel, it is forbidden, or the native readers are not built');
        }
        const wireless = kernel;
        for (const device of wireless.devices()) {
          // Some virtual devices have no name.
          if (device.name === '') continue;
          sheet.sample(FREQUENCY, [device.name], device.megahertz * 1000 * 1000);
          const network = known(() => wireless.network(device), undefined);
          // Labels in wire order: bssid, device, mode, ssid.
          if (network !== undefined) sheet.sample(INFO, [network.bssid, device.name, network.mode, network.ssid], 1);
          for (const station of known(() => wireless.stations(device), [])) {
            for (const { family, key } of FIGURES) sheet.sample(family, [device.name, station.address], station[key]);
          }
        }
        return OK;
      },
      replay: (_, steps) => absence.replay(steps),
    };
  },
};
