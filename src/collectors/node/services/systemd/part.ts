import { type Family, type MetricType, family } from '../../../../model/family.ts';
import type { ServicePart } from '../../service-part.ts';

function of(name: string, type: MetricType, help: string, labels: readonly string[] = ['name']): Family {
  return family(`node_systemd_${name}`, type, help, labels);
}

/** Types are the peer's; what systemd gives each from is in units.ts and collect.ts. */
export const VERSION = of('version', 'gauge', 'Release of systemd: its number as the value, its whole name as the label.', ['version']);
export const VIRTUALIZATION = of('virtualization_info', 'gauge', 'Kind of virtualization that systemd runs under; constant 1.', ['virtualization_type']);
export const RUNNING = of('system_running', 'gauge', 'Whether systemd says that the system is running, with no unit failed (1), or not (0).', []);
export const UNITS = of('units', 'gauge', 'Number of units that are in a state.', ['state']);
export const UNIT_STATE = of('unit_state', 'gauge', 'Whether a unit is in a state (1) or not (0).', ['name', 'state', 'type']);
export const RESTARTS = of('service_restart_total', 'counter', 'How often a service was restarted by itself.');
export const ACCEPTED = of('socket_accepted_connections_total', 'counter', 'Connections that a socket unit has accepted.');
export const CONNECTIONS = of('socket_current_connections', 'gauge', 'Connections that a socket unit has now.');
export const REFUSED = of('socket_refused_connections_total', 'gauge', 'Connections that a socket unit has refused.');
export const LAST_TRIGGER = of('timer_last_trigger_seconds', 'gauge', 'When a timer was last triggered, in seconds since 1970; 0 before the first time.');
export const START_TIME = of('unit_start_time_seconds', 'gauge', 'When a unit became active, in seconds since 1970; 0 while it is not.');
export const TASKS = of('unit_tasks_current', 'gauge', 'Tasks that a service has now.');
export const TASKS_MAX = of('unit_tasks_max', 'gauge', 'Tasks that a service may have at most.');

/** Programs `systemd` and `dbus-daemon` or `dbus-broker`. */
export const part: ServicePart = {
  name: 'systemd',
  enabledByDefault: false,
  families: [VERSION, VIRTUALIZATION, RUNNING, UNITS, UNIT_STATE, RESTARTS, ACCEPTED, CONNECTIONS, REFUSED, LAST_TRIGGER, START_TIME, TASKS, TASKS_MAX],
  options: [
    { flag: 'unit-include', kind: 'regexp', default: '.+', help: 'units to show, the whole name must match; a unit that is excluded as well is not shown' },
    {
      flag: 'unit-exclude',
      kind: 'regexp',
      default: String.raw`.+\.(automount|device|mount|scope|slice)`,
      help: 'units to leave out, the whole name must match',
    },
    { flag: 'private', kind: 'boolean', default: false, help: 'ask systemd past the bus, by its private socket, as root', hidden: true },
    { flag: 'enable-task-metrics', kind: 'boolean', default: false, help: 'tasks of services' },
    { flag: 'enable-restarts-metrics', kind: 'boolean', default: false, help: 'restarts of services' },
    { flag: 'enable-start-time-metrics', kind: 'boolean', default: false, help: 'when units became active' },
  ],
};
