import { OK, type Outcome, type Part } from '../../collect/contract.ts';
import type { Sheet } from '../../collect/sheet.ts';
import type { PostgresConnection, Row, ServerFacts } from './connection.ts';
import type { PostgresSettings } from './dsn.ts';
import type { PostgresOptions } from './targets.ts';
import { type ValueColumn, ViewRows } from './view-rows.ts';

/** What a part works with in the worker. */
export interface PartScope {
  readonly settings: PostgresSettings;
  readonly options: PostgresOptions;
  readonly warn: (message: string) => void;
}

/** Rows of a query of this part; the name distinguishes several queries of one part. */
export type Ask = (text: string, name?: string) => Promise<readonly Row[]>;

export interface PartRun {
  readonly server: ServerFacts;
  readonly ask: Ask;
  readonly sheet: Sheet;
}

/** Reads one part; made once per session, so it may keep what stays the same between rounds. */
export type ReadPart = (run: PartRun) => Promise<Outcome>;

/** A part as its file under `views/` defines it: no driver is imported there, since the definition is loaded on the main thread. */
export interface PostgresPart extends Part {
  open(scope: PartScope): ReadPart;
}

/** One query whose first columns are labels and whose others are samples. */
export interface View {
  readonly name: string;
  readonly families: Part['families'];
  readonly enabledByDefault?: boolean;
  /** The query for a server version (`server_version_num`), or a text why that version has none. */
  query(versionNumber: number, scope: PartScope): { readonly text: string; readonly columns: readonly ValueColumn[] } | string;
}

/** The part that prints a view. */
export function viewPart(view: View): PostgresPart {
  return {
    name: view.name,
    enabledByDefault: view.enabledByDefault ?? true,
    families: view.families,
    open: (scope) => readView(view, scope),
  };
}

function readView(view: View, scope: PartScope): ReadPart {
  let version = -1;
  let query: ReturnType<View['query']> = '';
  let rows = new ViewRows([]);
  return async ({ server, ask, sheet }) => {
    if (server.versionNumber !== version) {
      version = server.versionNumber;
      query = view.query(version, scope);
      rows = new ViewRows(typeof query === 'string' ? [] : query.columns);
    }
    if (typeof query === 'string') return { kind: 'absent', why: query };
    rows.write(await ask(query.text), sheet);
    return OK;
  };
}

/** For a part's connection: asks under the part's name. */
export function askOf(connection: PostgresConnection, part: string, signal: AbortSignal): Ask {
  return (text, name) => connection.query({ name: name === undefined ? part : `${part}_${name}`, text }, signal);
}
