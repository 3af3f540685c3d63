import type { PostgresPart } from './part.ts';
import { database } from './views/database.ts';
import { locks } from './views/locks.ts';
import { settings } from './views/settings.ts';
import { statActivity } from './views/stat-activity.ts';
import { statBgwriter } from './views/stat-bgwriter.ts';
import { statDatabase } from './views/stat-database.ts';
import { up } from './views/up.ts';

/** Every part, `up` first: it runs first in a round. */
export const PARTS: readonly PostgresPart[] = [up, database, locks, settings, statActivity, statBgwriter, statDatabase];
