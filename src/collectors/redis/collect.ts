import { CollectError, type NetworkSession, OK, type Scope } from '../../collect/contract.ts';
import { type Answers, byKey, writeAnswers } from './answers.ts';
import { CONFIG_NAMES, parseConfig } from './config.ts';
import { type Command, RedisConnection, type Reply } from './connection.ts';
import { CONNECT_TIME } from './families.ts';
import { FieldWriter } from './fields.ts';
import { type InfoLine, parseInfo } from './info.ts';
import { StartTime } from './instance.ts';
import { SLOWLOG_COMMANDS } from './slowlog.ts';
import type { RedisOptions, RedisSettings } from './targets.ts';

export { reportRedis as report } from './report.ts';

/** A session with one server. `begin` asks for everything in one round trip, which proves that the server lives as well. */
export function open(scope: Scope): NetworkSession {
  const options = scope.options as RedisOptions; // validated by the definition's schema
  const connection = new RedisConnection(scope.target.settings as RedisSettings, scope.monotonicMs, scope.warn); // made by `targets` of the definition
  const questions = new Questions(connection, options);
  const fields = new FieldWriter(options.include_system_metrics);
  const startTime = new StartTime();
  let answers: Answers | undefined;
  return {
    async begin(signal) {
      answers = undefined;
      answers = await questions.ask(signal);
    },
    async collect(part, sheet) {
      if (answers === undefined) throw new CollectError('bug', connection.place, `part ${part} before a begun round`);
      writeAnswers(answers, options.include_metrics_for_empty_databases, fields, sheet);
      startTime.write(byKey(answers.info), scope.wallMs(), sheet);
      sheet.sample(CONNECT_TIME, [], connection.connectSeconds);
      return OK;
    },
    async close() {
      connection.close();
    },
  };
}

/** Which questions a server understands is found out once per run of it, so that refusals do not fill its logs and counters. */
class Questions {
  readonly #connection: RedisConnection;
  readonly #configCommand: string;
  #runId = '';
  #info: Command = ['INFO', 'ALL'];
  /** Names for CONFIG GET: all of them until the server is known to take several. Undefined: refused. */
  #config: readonly string[] | undefined;
  #isCluster = false;

  constructor(connection: RedisConnection, options: RedisOptions) {
    this.#connection = connection;
    this.#configCommand = options.config_command;
    this.#config = this.#anyConfig();
  }

  async ask(signal: AbortSignal): Promise<Answers> {
    const commands: Command[] = [this.#info, ...SLOWLOG_COMMANDS];
    if (this.#config !== undefined) commands.push([this.#configCommand, 'GET', ...this.#config]);
    if (this.#isCluster) commands.push(['CLUSTER', 'INFO']);
    const replies = await this.#connection.exchange(commands, signal);
    const info = await this.#readInfo(replies[0], signal);
    const config = this.#config === undefined ? undefined : parseConfig(replies[3]);
    const cluster = this.#isCluster ? replies.at(-1) : undefined;
    const asked = this.#isCluster;
    this.#learn(byKey(info), replies[3]);
    const clusterLines = asked || !this.#isCluster ? cluster : (await this.#connection.exchange([['CLUSTER', 'INFO']], signal))[0];
    return { info, config, slowlog: replies.slice(1, 3), cluster: typeof clusterLines === 'string' ? parseInfo(clusterLines) : [] };
  }

  /** Some servers do not know INFO ALL. */
  async #readInfo(reply: Reply | undefined, signal: AbortSignal): Promise<readonly InfoLine[]> {
    if (typeof reply === 'string') return parseInfo(reply);
    if (this.#info.length > 1) {
      const [second] = await this.#connection.exchange([['INFO']], signal);
      if (typeof second === 'string') {
        this.#info = ['INFO'];
        return parseInfo(second);
      }
    }
    if (reply instanceof Error) throw this.#connection.refusal('INFO', reply);
    throw new CollectError('parse', this.#connection.place, 'INFO did not answer with text');
  }

  #learn(values: ReadonlyMap<string, string>, config: Reply | undefined): void {
    const runId = values.get('run_id') ?? '';
    this.#isCluster = values.get('cluster_enabled') === '1';
    if (runId !== this.#runId) {
      // The next round tries anew what an earlier run of the server had refused.
      this.#runId = runId;
      this.#config = config instanceof Error ? undefined : this.#anyConfig();
      return;
    }
    if (this.#config === undefined) return;
    const takesSeveral = Number.parseInt(values.get('redis_version') ?? '', 10) >= 7;
    if (config instanceof Error) this.#config = this.#config.length > 1 ? ['*'] : undefined;
    else if (takesSeveral && this.#config.length === 1) this.#config = CONFIG_NAMES;
  }

  #anyConfig(): readonly string[] | undefined {
    return this.#configCommand === '-' ? undefined : ['*'];
  }
}
