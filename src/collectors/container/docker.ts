import { request } from 'node:http';
import { KUBERNETES_LABELS, type NamedContainer, type NamesTable, allowed } from './names-table.ts';

/** Answers beyond this are given up. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * Names from Docker's HTTP API, which Podman serves too: `GET /containers/json`, one call for all running containers.
 * @param version `/v1.24` for Docker (1.12 and later), `/v1.0.0` for Podman, as the peer asks them
 */
export function dockerRuntime(
  socketPath: string,
  version: string,
  labels: readonly string[],
): { list(signal: AbortSignal): Promise<NamesTable>; close(): void } {
  return {
    async list(signal) {
      const answer = await get(socketPath, `${version}/containers/json`, signal);
      return namesOf(answer, labels);
    },
    close() {},
  };
}

/** From the text of an answer. Throws Error when it is not a list. */
export function namesOf(answer: string, wanted: readonly string[]): NamesTable {
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
