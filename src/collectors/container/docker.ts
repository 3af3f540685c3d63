import { request } from 'node:http';
import { type DiskUse, KUBERNETES_LABELS, type NamedContainer, type Names, allowed } from './names-table.ts';

/** Answers beyond this are given up. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * Names from Docker's HTTP API, which Podman serves too: `GET /containers/json`, one call for all running containers.
 * @param fixed version of the API; left out, it is the one that `GET /version` tells: Docker 29 refuses those before 1.44,
 *   Docker 24 knows none after 1.43, and what is read here is the same in all of them
 */
export function dockerRuntime(
  socketPath: string,
  labels: readonly string[],
  fixed = '',
): { list(signal: AbortSignal): Promise<Names>; disk(signal: AbortSignal): Promise<readonly DiskUse[]>; close(): void } {
  let version = fixed;
  const ask = async (path: string, signal: AbortSignal): Promise<string> => {
    version ||= await latestVersion(socketPath, signal);
    return get(socketPath, `/v${version}${path}`, signal);
  };
  return {
    async list(signal) {
      return namesOf(await ask('/containers/json', signal), labels);
    },
    async disk(signal) {
      const path = field(JSON.parse(await ask('/info', signal)), 'DockerRootDir');
      if (typeof path !== 'string' || path === '') throw new Error('/info: DockerRootDir expected');
      return diskUsesOf(await ask('/containers/json?size=1', signal), path);
    },
    // Another release may answer the next time.
    close() {
      version = fixed;
    },
  };
}

/** The latest version of the API that is spoken at a socket. */
async function latestVersion(socketPath: string, signal: AbortSignal): Promise<string> {
  const version = field(JSON.parse(await get(socketPath, '/version', signal)), 'ApiVersion');
  if (typeof version !== 'string' || !/^[\d.]+$/.test(version)) throw new Error('/version: ApiVersion expected');
  return version;
}

/** From the text of an answer. Throws Error when it is not a list. */
export function namesOf(answer: string, wanted: readonly string[]): Names {
  const list: unknown = JSON.parse(answer);
  if (!Array.isArray(list)) throw new Error('a list of containers expected');
  const containers = list.flatMap((item: unknown) => containerOf(item, wanted) ?? []);
  const pods = new Map<string, { uid: string; namespace: string; pod: string }>();
  for (const item of list) {
    const labels = labelsOf(item);
    const [uid, namespace, pod] = [labels[KUBERNETES_LABELS.uid], labels[KUBERNETES_LABELS.namespace], labels[KUBERNETES_LABELS.pod]];
    if (uid !== undefined && namespace !== undefined && pod !== undefined) pods.set(uid, { uid, namespace, pod });
  }
  return { containers, pods: [...pods.values()] };
}

/** What containers have written, from the text of a list with sizes. */
export function diskUsesOf(answer: string, path: string): DiskUse[] {
  const list: unknown = JSON.parse(answer);
  if (!Array.isArray(list)) throw new Error('a list of containers expected');
  return list.flatMap((item: unknown) => {
    const [id, bytes] = [field(item, 'Id'), field(item, 'SizeRw')];
    // Left out while it is nothing.
    return typeof id === 'string' && id !== '' ? [{ id, path, bytes: typeof bytes === 'number' ? bytes : 0 }] : [];
  });
}

/** The list tells of a health check in words only: `Up 3 minutes (healthy)`, `(unhealthy)`, `(health: starting)`. */
function healthOf(status: unknown): { readonly health?: number } {
  const state = typeof status === 'string' ? /\((?:health: )?(healthy|unhealthy|starting)\)$/.exec(status)?.[1] : undefined;
  return state === undefined ? {} : { health: state === 'healthy' ? 1 : 0 };
}

function containerOf(item: unknown, wanted: readonly string[]): NamedContainer | undefined {
  const id = field(item, 'Id');
  if (typeof id !== 'string' || id === '') return undefined;
  const names = field(item, 'Names');
  const name = Array.isArray(names) && typeof names[0] === 'string' ? names[0].replace(/^\//, '') : '';
  const image = field(item, 'Image');
  const created = field(item, 'Created');
  const labels = labelsOf(item);
  const network = field(field(item, 'HostConfig'), 'NetworkMode');
  return {
    id,
    name,
    image: typeof image === 'string' ? image : '',
    namespace: labels[KUBERNETES_LABELS.namespace] ?? '',
    pod: labels[KUBERNETES_LABELS.pod] ?? '',
    container: labels[KUBERNETES_LABELS.container] ?? '',
    // In `container:ID` mode the traffic is the other container's.
    sandbox: !(typeof network === 'string' && network.startsWith('container:')),
    created: typeof created === 'number' ? created : 0,
    ...healthOf(field(item, 'Status')),
    labels: allowed(labels, wanted),
  };
}

function labelsOf(item: unknown): Record<string, string> {
  const labels = field(item, 'Labels');
  if (typeof labels !== 'object' || labels === null) return {};
  return Object.fromEntries(Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function field(item: unknown, name: string): unknown {
  return typeof item === 'object' && item !== null ? (item as Readonly<Record<string, unknown>>)[name] : undefined;
}

function get(socketPath: string, path: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, signal, headers: { Host: 'localhost', Accept: 'application/json' }, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES) response.destroy(new Error(`${path}: answer of more than ${MAX_ANSWER_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString());
        else reject(new Error(`${path}: HTTP status ${response.statusCode}`));
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}
