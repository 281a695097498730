import { createInterface } from 'node:readline/promises';
import { Command, CommanderError } from 'commander';
import { withoutSecrets } from '../base/secretText.ts';
import { checkValues, watchOptions } from './arguments.ts';
import type { CliCommand, CliGroup, Context } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { checkContradictions } from './contradictions.ts';
import { EXIT } from './exit.ts';
import { makeOutput, printable, reportError, watchOutput } from './output.ts';
import { ProgressLine } from './progress.ts';
import { watchSignals } from './signals.ts';
import { GROUPS, SUMMARIES } from './summaries.ts';

const DEFAULT_STRATEGY = './tidemark.yaml';

/** Runs the program; resolves to its exit code. Nothing else in tidemark ends the process. */
export async function run(argv: string[], environment: NodeJS.ProcessEnv, version: string): Promise<number> {
  const json = argv.includes('--json');
  const interrupt = watchSignals(json);
  const requireWritten = watchOutput();
  try {
    const name = argv.find(word => !word.startsWith('-'));
    const command = name && Object.hasOwn(COMMANDS, name) ? await COMMANDS[name]!() : undefined;
    let code: number = EXIT.done;
    const program = makeProgram(version);
    for (const [group, commands] of Object.entries(GROUPS)) {
      program.commandsGroup(`${group}:`);
      for (const known of commands)
        if (known !== name) program.command(known).summary(SUMMARIES[known]).description(SUMMARIES[known]);
    }
    const run = (definition: CliCommand) => async (args: unknown[], options: Record<string, unknown>) => {
      const context = makeContext(options, environment, version, interrupt.signal);
      interrupt.watch(context.progress, definition.leaves);
      const { watchStorages } = await import('../operations/storages.ts');
      watchStorages({ signal: interrupt.signal, waiting: line => context.progress.note(line) });
      code = (await definition.run(context, args, options)) ?? EXIT.done;
    };
    if (command) addDefinition(program, command, run, argv);
    await program.parseAsync(argv, { from: 'user' });
    await requireWritten();
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.done;
      // It has been explained on stderr already.
      if (json) makeOutput(true).result({ error: usageOf(error) }, () => []);
      return EXIT.usage;
    }
    const known = interrupt.explain(error);
    reportError(known, json);
    return EXIT[known.kind];
  } finally {
    interrupt.end();
  }
}

function usageOf({ message }: CommanderError): object {
  return { code: 'USAGE', message: withoutSecrets(message.replace(/^error: /, '')), hint: 'see --help' };
}

export function makeProgram(version: string): Command {
  return new Command('tidemark')
    .description('Backs up PostgreSQL and proves that the backup can be recovered.')
    .version(version)
    .exitOverride()
    .configureOutput({ writeErr })
    .showHelpAfterError('(see --help)')
    .addHelpText('after', '\nStart with: tidemark init "$DATABASE_URL"   or watch: tidemark demo');
}

export type Action = (args: unknown[], options: Record<string, unknown>) => Promise<void>;

/** Names of what is unknown come from the command line. */
function writeErr(text: string): void {
  process.stderr.write(
    withoutSecrets(text.replace(/^error: /, 'tidemark: '))
      .split('\n')
      .map(printable)
      .join('\n'),
  );
}

/** @param argv the words of the command line, which are checked before the command runs. */
export function addDefinition(
  program: Command,
  definition: CliCommand | CliGroup,
  run: (definition: CliCommand) => Action,
  argv: readonly string[],
): void {
  if (!('commands' in definition)) {
    addCommand(program, definition, run(definition), argv);
    return;
  }
  const { name, summary, commands } = definition;
  const parent = program.command(name).summary(summary).description(summary);
  parent.exitOverride().showHelpAfterError('(see --help)');
  parent.addHelpText('after', '\nEach has --help, --json and --config.');
  for (const each of commands) addCommand(parent, each, run(each), argv);
}

function addCommand(program: Command, definition: CliCommand, action: Action, argv: readonly string[]): void {
  const command = program
    .command(definition.name)
    .summary(definition.summary)
    .description(definition.summary);
  command.exitOverride().showHelpAfterError('(see --help)');
  definition.define(command);
  command.option('--config <file>', 'the strategy file', DEFAULT_STRATEGY);
  command.option('--json', 'print one JSON object on stdout');
  watchOptions(command);
  command.hook('preAction', () => {
    checkValues(command, argv);
    checkContradictions(command);
  });
  command.action(async (...all: unknown[]) => action(all.slice(0, -2), command.opts()));
}

function makeContext(
  options: Record<string, unknown>,
  environment: NodeJS.ProcessEnv,
  version: string,
  signal: AbortSignal,
): Context {
  const config = options.config as string;
  const output = makeOutput(options.json === true);
  const warned = new Set<string>();
  const warn = (line: string) => {
    if (!warned.has(line)) output.note(line);
    warned.add(line);
  };
  return {
    output,
    progress: new ProgressLine(),
    signal,
    environment,
    config,
    version,
    async strategy(uses) {
      const { readStrategy } = await import('../operations/open/strategy.ts');
      const none = { databases: [], repositories: [] };
      return readStrategy(config, environment, { secrets: 'required', uses: uses ?? none }, warn);
    },
    async ask(question) {
      if (!process.stdin.isTTY || options.json === true) return false;
      const terminal = createInterface({ input: process.stdin, output: process.stderr });
      try {
        const answer = await terminal.question(`${printable(question)} [y/N] `, { signal });
        return /^y(es)?$/i.test(answer.trim());
      } finally {
        terminal.close();
      }
    },
  };
}
