import { family } from '../../model/family.ts';

/** What the Go client library prints about a process, from /proc/self. */
export const cpuSeconds = family('process_cpu_seconds_total', 'counter', 'CPU time of this process, user and system, all threads.');
export const openFds = family('process_open_fds', 'gauge', 'File descriptors this process has open.');
export const maxFds = family('process_max_fds', 'gauge', 'File descriptors this process may have open.');
export const virtualBytes = family('process_virtual_memory_bytes', 'gauge', 'Address space of this process; pages reserve room to grow in it.');
export const virtualMaxBytes = family('process_virtual_memory_max_bytes', 'gauge', 'Address space this process may have; 2^64 stands for no limit.');
export const residentBytes = family('process_resident_memory_bytes', 'gauge', 'Memory of this process that is in RAM.');
export const startSeconds = family('process_start_time_seconds', 'gauge', 'Unix time at which this process started.');
export const receiveBytes = family('process_network_receive_bytes_total', 'counter', 'Bytes received over IP in the network namespace of this process.');
export const transmitBytes = family('process_network_transmit_bytes_total', 'counter', 'Bytes sent over IP in the network namespace of this process.');

export const PROCESS_FAMILIES = [cpuSeconds, openFds, maxFds, virtualBytes, virtualMaxBytes, residentBytes, startSeconds, receiveBytes, transmitBytes] as const;
