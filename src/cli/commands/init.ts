import { type InitResult, init } from '../../operations/init/init.ts';
import type { MadeRepository } from '../../operations/init/repositories.ts';
import type { Inspection } from '../../operations/inspect/inspect.ts';
import { recoveryKit } from '../../operations/recoveryKit.ts';
import type { CliCommand, Context } from '../command.ts';
import { formatBytes, formatCount } from '../output.ts';

/**
 * With --json:
 *
 *     { "strategy": path, "strategyMade": boolean, "databases": [name],
 *       "found": { "where", "serverVersion", "sizeBytes", "tables", "provider", "role", "superuser" } | null,
 *       "findings": [{ "subject", "check", "level": "ok" | "warning" | "fault", "message", "hint" }],
 *       "variable": name in .env | null, "ignored": [entry of .gitignore], "notes": [text],
 *       "repositories": [{ "name", "id", "storage", "made": boolean, "key": { "kind": "file" | "env" |
 *         "passphraseFile" | "passphraseEnv", "path" or "variable", "made": boolean, "text": only with --show-key } }],
 *       "next": [command line] }
 */
export const command: CliCommand = {
  name: 'init [url]',
  summary: 'write a strategy file for a database, make its repository and key',
  define(command) {
    command
      .addHelpText(
        'before',
        'URL is the database to protect; without it, DATABASE_URL (also from .env) or the PG* variables say.\n' +
          'Where there is a strategy already, only keys and repositories that are missing are made.\n',
      )
      .option('--storage <path>', 'the folder of the repository', './tidemark-backups')
      .option('--name <name>', 'what the database is called in the strategy; default: as it is called')
      .option(
        '--key-file <path>',
        'the key; made if it is not there (default: ~/.config/tidemark/<name>.key)',
      )
      .option('--show-key', 'with --json: print the key too')
      .option('--yes', 'don’t ask');
  },
  async run(context, [url], options) {
    const { config, environment, output, signal, version } = context;
    const result = await init({
      config,
      environment,
      url: url as string | undefined,
      name: options.name as string | undefined,
      storage: options.storage as string,
      keyFile: options.keyFile as string | undefined,
      signal,
      confirm: (found, _findings, plan) => confirm(context, options.yes === true, found, plan),
    });
    const date = new Date().toISOString();
    output.result(asJson(result, options.showKey === true), () => asText(result, date, version));
    return undefined;
  },
};

/** Nothing that is there is changed, so only a person at a terminal is asked. */
async function confirm(context: Context, yes: boolean, found: Inspection, plan: string[]): Promise<boolean> {
  if (yes || context.output.json || !process.stdin.isTTY) return true;
  context.output.note(describe(found));
  context.output.note('will be written:');
  for (const line of plan) context.output.note(`  ${line}`);
  return context.ask('Go on?');
}

function describe({ where, serverVersion, sizeBytes, provider, relations, rights }: Inspection): string {
  const tables = formatCount(relations.filter(each => each.kind === 'table').length);
  const at = provider.id === 'selfHosted' ? '' : ` at ${provider.name}`;
  const kind = rights.superuser ? ', a superuser' : '';
  return `${where}: PostgreSQL ${serverVersion}${at}, ${formatBytes(sizeBytes)}, ${tables} tables, as ${rights.role}${kind}`;
}

function* asText(result: InitResult, date: string, version: string): Iterable<string> {
  if (result.found) yield describe(result.found);
  for (const { level, message, hint } of result.findings.filter(each => each.level !== 'ok')) {
    yield `${level}: ${message}`;
    yield `  ${hint}`;
  }
  for (const note of result.notes) yield `note: ${note}`;
  yield result.strategyMade
    ? `wrote ${result.strategy}`
    : `${result.strategy} is there already and was not changed`;
  if (result.variable) yield `wrote ${result.variable} into .env`;
  if (result.ignored.length > 0) yield `told git to ignore ${result.ignored.join(', ')}`;
  for (const made of result.repositories) {
    if (made.key.source.kind === 'file') {
      yield made.key.made ? `made the key ${made.key.source.path}` : `used the key ${made.key.source.path}`;
    }
    yield made.made
      ? `made repository ${made.name} in ${made.storage}`
      : `repository ${made.name} in ${made.storage} is there already and its key opens it`;
  }
  // A kit for what is new to this person; a second run has nothing to say.
  for (const made of result.repositories.filter(each => each.made || result.strategyMade)) {
    yield '';
    yield* kitOf(made, result, date, version);
  }
  yield '';
  yield 'next:';
  for (const line of result.next) yield `  ${line}`;
}

function kitOf(made: MadeRepository, { databases }: InitResult, date: string, version: string): string[] {
  return recoveryKit({
    databases,
    repository: made.name,
    repositoryId: made.id,
    storage: made.spec.storage,
    address: made.spec.address,
    region: made.spec.region,
    key: made.key.source,
    keyText: made.secret.kind === 'key' ? made.secret.text : null,
    slots: [],
    epoch: 0,
    date,
    version,
  });
}

function asJson(result: InitResult, showKey: boolean): object {
  const { found, repositories, ...rest } = result;
  return {
    ...rest,
    found: found && {
      where: found.where,
      serverVersion: found.serverVersion,
      sizeBytes: found.sizeBytes,
      tables: found.relations.filter(each => each.kind === 'table').length,
      provider: found.provider.id,
      role: found.rights.role,
      superuser: found.rights.superuser,
    },
    repositories: repositories.map(({ secret, key, spec: _spec, ...made }) => ({
      ...made,
      key: {
        ...key.source,
        made: key.made,
        ...(showKey && secret.kind === 'key' ? { text: secret.text.trim() } : {}),
      },
    })),
  };
}
