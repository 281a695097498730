import { type InitResult, ignorePage, init } from '../../operations/init/init.ts';
import type { MadeRepository } from '../../operations/init/repositories.ts';
import type { Inspection } from '../../operations/inspect/inspect.ts';
import { keepKit } from '../../operations/key/kit.ts';
import { programSource } from '../../operations/key/programSource.ts';
import { type KitFacts, recoveryKit } from '../../operations/key/recoveryKit.ts';
import type { CliCommand, Context } from '../command.ts';
import { LEAVES } from '../leaves.ts';
import { formatBytes, formatCount, hidesKey } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

/**
 * With --json:
 *
 *     { "strategy": path, "strategyMade": boolean, "databases": [name],
 *       "found": { "where", "serverVersion", "sizeBytes", "tables", "provider", "role", "superuser" } | null,
 *       "findings": [{ "subject", "check", "level": "ok" | "warning" | "fault", "message", "hint" }],
 *       "variable": name in .env | null, "ignored": [entry of .gitignore], "notes": [text],
 *       "repositories": [{ "name", "id", "storage", "made": boolean, "key": { "kind": "file" | "env" |
 *         "passphraseFile" | "passphraseEnv", "path" or "variable", "made": boolean, "text": only with --show-key }, "kit": path of
 *         its recovery kit | null }],
 *       "next": [command line] }
 */
export const command: CliCommand = {
  name: 'init [url]',
  summary: SUMMARIES.init,
  leaves: LEAVES.init,
  define(command) {
    command
      .addHelpText(
        'before',
        'URL is the database to protect; without it, DATABASE_URL (also from .env) or the PG* variables say.\n' +
          'Where there is a strategy already, only keys and repositories that it names and that are missing are made.\n',
      )
      .option('--storage <path>', 'the folder of the repository (default: ./tidemark-backups)')
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
      storage: options.storage as string | undefined,
      keyFile: options.keyFile as string | undefined,
      signal,
      confirm: (found, _findings, plan) => confirm(context, options.yes === true, found, plan),
    });
    const kits = await makeKits(result, version);
    // A kit for what is new to this person; a second run has nothing to say.
    if (hidesKey(output.json)) await keepKits(kits, result, environment);
    output.result(asJson(result, options.showKey === true, kits), () => asText(result, kits));
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

function* asText(result: InitResult, kits: readonly Kit[]): Iterable<string> {
  if (result.found) yield describe(result.found);
  for (const { level, message, hint } of result.findings.filter(each => each.level !== 'ok')) {
    yield `${level}: ${message}`;
    yield `  ${hint}`;
  }
  for (const note of result.notes) yield note.startsWith('warning: ') ? note : `note: ${note}`;
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
  for (const { made, page, file } of kits) {
    if (file === null) {
      yield '';
      yield* page;
    } else {
      const hasKey = made.secret.kind === 'key' ? ' (it has the key)' : '';
      yield `wrote the recovery kit of ${made.name}${hasKey} to ${file}`;
      yield '  print it, keep the page away from the database and the backups, then delete the file';
    }
  }
  yield '';
  yield 'next:';
  for (const line of result.next) yield `  ${line}`;
}

interface Kit {
  made: MadeRepository;
  page: string[];
  /** Null: it is printed. */
  file: string | null;
}

async function makeKits(result: InitResult, version: string): Promise<Kit[]> {
  const date = new Date().toISOString();
  const source = await programSource();
  return result.repositories
    .filter(each => each.made || result.strategyMade)
    .map(made => ({ made, page: pageOf(made, result, { date, version, source }), file: null }));
}

async function keepKits(kits: Kit[], result: InitResult, environment: Context['environment']): Promise<void> {
  for (const kit of kits) {
    const { name, key } = kit.made;
    kit.file = await keepKit(kit.page, name, key.source, environment);
    result.ignored.push(...(await ignorePage(result.strategy, kit.file)));
  }
}

function pageOf(
  made: MadeRepository,
  { databases }: InitResult,
  of: Pick<KitFacts, 'date' | 'version' | 'source'>,
): string[] {
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
    ...of,
  });
}

function asJson(result: InitResult, showKey: boolean, kits: readonly Kit[]): object {
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
      kit: kits.find(each => each.made.name === made.name)?.file ?? null,
      key: {
        ...key.source,
        made: key.made,
        ...(showKey && secret.kind === 'key' ? { text: secret.text.trim() } : {}),
      },
    })),
  };
}
