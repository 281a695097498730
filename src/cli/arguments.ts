import type { Command, Option } from 'commander';
import { type TidemarkError, usageError } from '../base/errors.ts';
import { secretKind } from '../base/secretText.ts';

/**
 * What holds for every argument and every option of every command, whatever they mean: a value is there, is text, and is
 * not the next option; an option that takes one value is given once. Shell variables that are not set are why: an empty
 * value must never mean the default, the only one or all of them.
 */

const GIVEN = Symbol('given');

/** The values that options were given, in order, as they were typed. */
type Given = Map<Option, string[]>;

/** Lets a command take down what its options are given; call it when all of them are defined. */
export function watchOptions(command: Command): void {
  const given: Given = new Map();
  for (const option of command.options)
    command.on(`option:${option.name()}`, (value: string | undefined) => {
      given.set(option, [...(given.get(option) ?? []), ...(typeof value === 'string' ? [value] : [])]);
    });
  Object.assign(command, { [GIVEN]: given });
}

/** Options and arguments that were given, as they are typed: `--table`, `<snapshot>`; options with their values too. */
export function givenNames(command: Command): Set<string> {
  const options = [...givenOptions(command)].flatMap(([{ long }, values]) => [
    long!,
    ...values.map(value => `${long} ${value}`),
  ]);
  const args = command.registeredArguments.filter((argument, i) => {
    const value = command.processedArgs[i];
    return argument.variadic ? (value as string[]).length > 0 : value !== undefined;
  });
  return new Set([...options, ...args.map(argument => `<${argument.name()}>`)]);
}

/** How many values an option was given. */
export function valuesOf(command: Command, long: string): number {
  for (const [option, values] of givenOptions(command)) if (option.long === long) return values.length;
  return 0;
}

/**
 * @param argv the words of the command line: `--as=-x` says a value that starts with a dash in so many words.
 * @throws TidemarkError ARGUMENT_EMPTY, ARGUMENT_MISSING, ARGUMENT_INVALID, OPTION_TWICE (usage).
 */
export function checkValues(command: Command, argv: readonly string[]): void {
  command.registeredArguments.forEach((argument, i) => {
    const values = [command.processedArgs[i]].flat() as (string | undefined)[];
    const name = `the argument ${argument.name().toUpperCase()}`;
    for (const value of values)
      if (value !== undefined) {
        checkText(name, value, hintOf(command, argument.name()));
        checkNoSecret(name, value, takesUrl(command, argument.name()));
      }
  });
  for (const [option, values] of givenOptions(command)) {
    const name = option.long!;
    for (const value of values) {
      if (/^-./.test(value) && !argv.includes(`${name}=${value}`)) throw missingValue(name, value);
      checkText(name, value, `give ${name} a value${option.mandatory ? '' : ', or leave it out'}; ${UNSET}`);
      checkNoSecret(name, value, takesUrl(command, name));
    }
    if (!option.variadic && new Set(values).size > 1) throw twice(name);
  }
}

const UNSET = 'a shell variable that is not set gives an empty one';

function hintOf(command: Command, argument: string): string {
  if (command.name() === 'init')
    return "'tidemark init' without an argument takes DATABASE_URL, also from .env beside the strategy";
  return `give ${argument.toUpperCase()}; ${UNSET}`;
}

function checkText(name: string, value: string, hint: string): void {
  if (value.trim() === '')
    throw usageError('ARGUMENT_EMPTY', `${name} is ${value === '' ? 'empty' : 'blank'}`, hint);
  if (value.includes('\0'))
    throw usageError(
      'ARGUMENT_INVALID',
      `${name} holds a zero byte`,
      'leave it out: no name and no path has one',
    );
  if (value.includes('\ufffd'))
    throw usageError('ARGUMENT_INVALID', `${name} is not valid UTF-8`, 'write it in UTF-8');
}

/** Arguments and options that are connection URLs. */
function takesUrl(command: Command, name: string): boolean {
  return (command.name() === 'init' && name === 'url') || (command.name() === 'restore' && name === '--to');
}

/** What holds a secret by its form, and stands where none belongs, is refused and never repeated. */
function checkNoSecret(name: string, value: string, isUrl: boolean): void {
  const kind = secretKind(value);
  if (kind === undefined || (isUrl && kind.startsWith('a connection'))) return;
  throw usageError(
    'ARGUMENT_SECRET',
    `${name} is ${kind}, which does not belong there and is not shown`,
    "take it out of the shell's history; URLs, keys and passwords belong in the strategy, or in files and variables that it names",
  );
}

function missingValue(name: string, found: string): TidemarkError {
  // What looks like an option is no secret; anything else is not shown.
  const next = /^--?[a-z][a-z-]*$/.test(found) ? `, ${found} follows it` : '';
  return usageError(
    'ARGUMENT_MISSING',
    `${name} has no value${next}`,
    `give ${name} a value; one that starts with a dash is written ${name}=VALUE`,
  );
}

function twice(name: string): TidemarkError {
  return usageError('OPTION_TWICE', `${name} is given twice, with different values`, 'give it once');
}

function givenOptions(command: Command): Given {
  return (command as unknown as { [GIVEN]: Given })[GIVEN];
}
