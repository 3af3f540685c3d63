import { type Family, type MetricType, family } from '../../../../model/family.ts';
import type { ServicePart } from '../../service-part.ts';

function of(name: string, type: MetricType, help: string): Family {
  return family(`node_supervisord_${name}`, type, help, ['name', 'group']);
}

export const UP = of('up', 'gauge', 'Whether a process is starting, running or stopping (1) or not (0).');
export const STATE = of(
  'state',
  'gauge',
  'State of a process: 0 stopped, 10 starting, 20 running, 30 backoff, 40 stopping, 100 exited, 200 fatal, 1000 unknown.',
);
export const EXIT_STATUS = of('exit_status', 'gauge', 'Exit status of the last run of a process.');
export const START_TIME = of('start_time_seconds', 'counter', 'When a process that is up was started, in seconds since 1970.');

export const part: ServicePart = {
  name: 'supervisord',
  enabledByDefault: false,
  families: [UP, STATE, EXIT_STATUS, START_TIME],
  options: [{ flag: 'url', kind: 'string', default: 'http://localhost:9001/RPC2', help: 'where supervisord answers XML-RPC: http, https, or unix:///path' }],
};
