import { type Family, family } from '../../../../model/family.ts';
import type { ServicePart } from '../../service-part.ts';

function of(name: string, help: string): Family {
  return family(`node_ntp_${name}`, 'gauge', help);
}

export const STRATUM = of('stratum', 'How many servers away the reference clock of the NTP server is.');
export const LEAP = of('leap', 'Warning of a leap second: 0 none, 1 one is added, 2 one is left out, 3 the server is not synchronized.');
export const RTT = of('rtt_seconds', 'How long the question and its answer travelled, in seconds.');
export const OFFSET = of('offset_seconds', 'How far the clock of the NTP server is ahead of ours, in seconds.');
export const REFERENCE = of('reference_timestamp_seconds', 'When the clock of the NTP server was last set, in seconds since 1970; 0 for never.');
export const ROOT_DELAY = of('root_delay_seconds', 'How long a question travels to the reference clock and back, in seconds.');
export const ROOT_DISPERSION = of('root_dispersion_seconds', 'Largest error against the reference clock, in seconds.');
export const SANITY = of('sanity', 'Whether the answer may be trusted, by the rules of RFC 5905 and the limits that are set (1), or not (0).');

export const part: ServicePart = {
  name: 'ntp',
  enabledByDefault: false,
  families: [STRATUM, LEAP, RTT, OFFSET, REFERENCE, ROOT_DELAY, ROOT_DISPERSION, SANITY],
  options: [
    { flag: 'server', kind: 'string', default: '127.0.0.1', help: 'NTP server to ask; a loopback address, unless server-is-local' },
    { flag: 'server-port', kind: 'integer', default: 123, help: 'UDP port of the NTP server' },
    { flag: 'protocol-version', kind: 'integer', default: 4, help: 'version of NTP to speak, 2 to 4' },
    { flag: 'server-is-local', kind: 'boolean', default: false, help: 'states that the NTP server is not a public one' },
    { flag: 'ip-ttl', kind: 'integer', default: 1, help: 'time to live of the packets sent; 0 leaves it to the system' },
    // 1.5 s and what a clock may drift in 2^17 s.
    { flag: 'max-distance', kind: 'duration', default: '3.46608s', help: 'largest distance to the reference clock that is trusted' },
    { flag: 'local-offset-tolerance', kind: 'duration', default: '1ms', help: 'offset between the clocks that is tolerated' },
  ],
};
