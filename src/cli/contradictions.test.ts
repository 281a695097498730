/** What every command refuses, by its own definition: tried for all arguments and options of all commands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command, Option } from 'commander';
import type { TidemarkError } from '../base/errors.ts';
import type { CliCommand, CliGroup } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { CONTRADICTIONS } from './contradictions.ts';
import { addDefinition, makeProgram } from './program.ts';

interface Defined {
  /** `restore`, or `key add`. */
  name: string;
  command: Command;
  /** What a command line of it that is right must have. */
  needed: Word[];
}

/** A word of a command line, or an option with its value. */
interface Word {
  name: string;
  words: string[];
}

const all: Defined[] = [];
for (const [name, load] of Object.entries(COMMANDS)) {
  const definition = await load();
  for (const command of leaves(parsed(definition, []).program, definition)) all.push(command);
  assert.ok(all.some(each => each.name === name || each.name.startsWith(`${name} `)));
}

function leaves(program: Command, definition: CliCommand | CliGroup): Defined[] {
  const top = program.commands[0]!;
  const commands = 'commands' in definition ? [...top.commands] : [top];
  return commands.map(command => ({
    name: command === top ? command.name() : `${top.name()} ${command.name()}`,
    command,
    needed: [
      ...command.registeredArguments.filter(each => each.required).map(argumentWord),
      ...command.options.filter(each => each.mandatory).map(each => optionWord(each)),
    ],
  }));
}

function parsed(definition: CliCommand | CliGroup, argv: readonly string[]) {
  const program = makeProgram('1.2.3');
  const state = { program, ran: false };
  addDefinition(
    program,
    definition,
    () => async () => {
      state.ran = true;
    },
    argv,
  );
  return state;
}

/** The code of what the words are refused with; null where the command would run. */
async function refused(defined: Defined, words: Word[]): Promise<string | null> {
  const given = [
    ...words,
    ...defined.needed.filter(need => !words.some(each => optionOf(each.name) === need.name)),
  ];
  const inOrder = given.toSorted((a, b) => Number(b.name.startsWith('<')) - Number(a.name.startsWith('<')));
  const argv = [...defined.name.split(' '), ...inOrder.flatMap(each => each.words)];
  const state = parsed(await COMMANDS[argv[0]!]!(), argv);
  try {
    await state.program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    const { code, kind, hint, message } = error as TidemarkError;
    assert.equal(kind, 'usage', `${argv.join(' ')}: ${code} ${message}`);
    assert.match(hint, /\S/);
    assert.ok(!state.ran);
    return code;
  }
  assert.ok(state.ran, argv.join(' '));
  return null;
}

function argumentWord(argument: { name(): string }): Word {
  return { name: `<${argument.name()}>`, words: ['thing'] };
}

function optionWord(option: Option, value = 'value'): Word {
  const name = option.long!;
  return { name, words: option.required ? [name, value] : [name] };
}

function wordsOf({ name, command }: Defined): Word[] {
  const options = command.options.filter(each => each.long !== '--help');
  return [
    ...command.registeredArguments.map(argumentWord),
    ...options.map(each => optionWord(each)),
    ...exclusiveOf(name)
      .flat()
      .filter(each => /^--\S+ \S+$/.test(each))
      .map(each => ({ name: each, words: each.split(' ') })),
  ];
}

/** Without the reasons. */
const exclusiveOf = (name: string) =>
  (CONTRADICTIONS[name]?.exclusive ?? []).map(([one, other]) => [one, other]);

/** The option that one needs, where it means nothing alone. */
function with_(defined: Defined, words: Word[]): Word[] {
  const all = wordsOf(defined);
  const rules = CONTRADICTIONS[defined.name]?.requires ?? [];
  const more = rules
    .filter(([option, ...oneOf]) => has(words, option) && !oneOf.some(each => has(words, each)))
    .map(([, needed]) => all.find(each => each.name === needed)!);
  return more.length === 0 ? words : with_(defined, [...words, ...new Set(more)]);
}

const optionOf = (name: string) => name.split(' ')[0]!;
const has = (words: readonly Word[], name: string) => words.some(each => each.name === name);

test('an empty, blank or missing value is refused: every argument and option of every command', async () => {
  let tried = 0;
  for (const defined of all) {
    for (const argument of defined.command.registeredArguments) {
      for (const empty of ['', ' ', '\t\n'])
        assert.equal(
          await refused(defined, [{ name: `<${argument.name()}>`, words: [empty] }]),
          'ARGUMENT_EMPTY',
          `${defined.name} ${argument.name()}`,
        );
      const nul = { name: `<${argument.name()}>`, words: ['a\0b'] };
      assert.equal(await refused(defined, [nul]), 'ARGUMENT_INVALID');
      if (argument.variadic) {
        const second = { name: `<${argument.name()}>`, words: ['thing', ''] };
        assert.equal(await refused(defined, [second]), 'ARGUMENT_EMPTY');
      }
      tried++;
    }
    for (const option of defined.command.options.filter(each => each.required)) {
      const name = option.long!;
      const what = `${defined.name} ${name}`;
      for (const words of [[name, ''], [name, ' '], [`${name}=`], [`${name}=\t`]])
        assert.equal(await refused(defined, [{ name, words }]), 'ARGUMENT_EMPTY', what);
      for (const words of [
        [name, '--yes'],
        [name, '-x'],
        [name, '--'],
      ])
        assert.equal(await refused(defined, [{ name, words }]), 'ARGUMENT_MISSING', what);
      assert.equal(await refused(defined, [{ name, words: [name, 'a\0b'] }]), 'ARGUMENT_INVALID', what);
      assert.equal(await refused(defined, [{ name, words: [name, 'a\ufffdb'] }]), 'ARGUMENT_INVALID', what);
      const twice = await refused(defined, with_(defined, [{ name, words: [name, 'a', name, 'b'] }]));
      if (option.variadic) {
        assert.equal(twice, null, what);
        assert.equal(await refused(defined, [{ name, words: [name, 'a', ''] }]), 'ARGUMENT_EMPTY', what);
      } else assert.equal(twice, 'OPTION_TWICE', what);
      tried++;
    }
  }
  assert.ok(tried > 80, `${tried}`);
});

test('a value that starts with a dash is taken where it is written in one word', async () => {
  const list = all.find(each => each.name === 'list')!;
  assert.equal(await refused(list, [{ name: '--repository', words: ['--repository=--yes'] }]), null);
  const export_ = all.find(each => each.name === 'export')!;
  assert.equal(await refused(export_, [{ name: '--output', words: ['-o', '-'] }]), null);
});

test('every two options and arguments: refused if the table has them, else accepted', async () => {
  let pairs = 0;
  for (const defined of all) {
    const { exclusive = [], requires = [] } = CONTRADICTIONS[defined.name] ?? {};
    const words = wordsOf(defined);
    for (const name of [...exclusiveOf(defined.name).flat(), ...requires.flat()])
      assert.ok(has(words, name), `${defined.name} has no ${name}`);
    for (const [i, one] of words.entries()) {
      for (const other of words.slice(i + 1)) {
        if (optionOf(other.name) === optionOf(one.name)) continue;
        const given = with_(defined, [one, other]);
        const clash = exclusive.find(([a, b]) => has(given, a) && has(given, b));
        const what = `${defined.name}: ${given.map(each => each.name).join(' ')}`;
        assert.equal(await refused(defined, given), clash ? 'OPTIONS_CONTRADICT' : null, what);
        pairs++;
      }
    }
    for (const [option, ...oneOf] of requires) {
      const alone = [words.find(each => each.name === option)!];
      assert.equal(await refused(defined, alone), 'OPTIONS_CONTRADICT', `${defined.name} ${option}`);
      for (const needed of oneOf) {
        const both = [...alone, words.find(each => each.name === needed)!];
        assert.equal(
          await refused(defined, with_(defined, both)),
          null,
          `${defined.name} ${option} ${needed}`,
        );
      }
    }
  }
  assert.ok(pairs > 500, `${pairs}`);
});

test('--as takes one --table', async () => {
  const restore = all.find(each => each.name === 'restore')!;
  const as = { name: '--as', words: ['--as', 'other'] };
  const several = { name: '--table', words: ['--table', 'a', 'b'] };
  assert.equal(await refused(restore, [as, several]), 'OPTIONS_CONTRADICT');
  const again = { name: '--table', words: ['--table', 'a', '--table', 'b'] };
  assert.equal(await refused(restore, [as, again]), 'OPTIONS_CONTRADICT');
});
