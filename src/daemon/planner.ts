import { parentPort, workerData } from 'node:worker_threads';
import { type Called, prepare } from './prepare.ts';

/** The thread that plans: prepares what it is called with, hands it over, ends. */
void prepare(workerData as Called).then((prepared) => parentPort?.postMessage(prepared));
