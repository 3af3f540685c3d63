import { family } from '../../../../model/family.ts';
import type { ServicePart } from '../../service-part.ts';

export const SESSIONS = family('node_logind_sessions', 'gauge', 'Number of sessions that logind knows.', ['seat', 'remote', 'type', 'class']);

export const part: ServicePart = { name: 'logind', enabledByDefault: false, families: [SESSIONS] };
