import type { Command } from 'commander';
import { usageError } from '../base/errors.ts';
import { givenNames, valuesOf } from './arguments.ts';

/** Options that contradict each other, or that mean nothing alone. All of them, for all commands. */

/** Options as they are typed, some with the value that is meant, and arguments as `<name>`. */
export interface Contradictions {
  /** Of these pairs only one may be given; each with the reason where the names don't say it. */
  exclusive?: readonly (readonly [one: string, other: string, why?: string])[];
  /** Means nothing unless one of the others is given too. */
  requires?: readonly (readonly [option: string, ...oneOf: string[]])[];
  /** Options that may have several values, but only one where the other option is given. */
  single?: readonly (readonly [option: string, where: string])[];
}

const SCHEMA_AND_DATA = ['--schema-only', '--data-only'] as const;
const DRY_AND_YES = ['--dry-run', '--yes', 'a dry run changes nothing that could be confirmed'] as const;
const OWNERS = ['--key-file', '--key-env', '--passphrase-file', '--passphrase-env', '--age', '--kms'];
const ALREADY_READABLE = ['--thaw', '--schema-only', 'definitions can always be read'] as const;
const SAFE_PART = 'restore them with --new or into an empty database';

/** By command; one of a group as `key add`. What is not here goes together. */
export const CONTRADICTIONS: Readonly<Record<string, Contradictions>> = {
  init: { requires: [['--show-key', '--json']] },
  backup: { exclusive: [SCHEMA_AND_DATA] },
  restore: {
    exclusive: [
      SCHEMA_AND_DATA,
      ['--new', '--to'],
      ['--new', '--in-place'],
      ['--to', '--in-place'],
      ['--new', '--clean', 'a new database is empty'],
      ['--in-place', '--clean', 'in place replaces the whole database anyway'],
      ['--clean', '--data-only', 'rows need the tables that --clean removes'],
      ['--clean', '--table', '--clean removes every table, not only those'],
      ['--clean', '--as', '--clean removes the tables beside which it would be'],
      ['--in-place', '--schema-only', `the database would lose all its rows; ${SAFE_PART}`],
      ['--as', '--new', 'a new database has no table beside which it could be'],
      ['--as', '--schema-only', 'a table beside another is for its rows'],
      ['--as', '--data-only', 'a table of another name needs its definition'],
      ['--roles', '--table', 'tables go where their roles are; create those by a restore of the whole first'],
      ['--new', '--data-only', 'a new database has no tables that rows could go into'],
      ...['--roles', '--no-owner', '--no-privileges', '--no-tablespaces'].map(
        option => [option, '--data-only', 'rows have no owners, privileges or tablespaces'] as const,
      ),
      ['--allow-partial', '--table', 'tables that are not named stay as they are'],
      ['--allow-partial', '--data-only', 'only rows are replaced'],
      ['--lock-wait', '--new', 'nobody uses the tables of a new database'],
      ['--lock-wait', '--clean', 'the tables that are filled are new'],
      ['--check exact', '--schema-only', 'it compares rows, and none are restored'],
      ALREADY_READABLE,
    ],
    requires: [
      ['--clean', '--to'],
      ['--allow-partial', '--in-place'],
      ['--as', '--table'],
      ['--lock-wait', '--table', '--data-only'],
      ['--wait', '--thaw'],
    ],
    single: [['--table', '--as']],
  },
  export: {
    exclusive: [
      SCHEMA_AND_DATA,
      ALREADY_READABLE,
      ['--format csv', '--schema-only', 'csv has rows, and no definitions'],
    ],
    requires: [['--wait', '--thaw']],
  },
  verify: { exclusive: [['<snapshot>', '--all']], requires: [['--coverage', '--budget']] },
  heal: { exclusive: [['<snapshot>', '--all'], DRY_AND_YES] },
  repair: { exclusive: [DRY_AND_YES] },
  forget: { exclusive: [DRY_AND_YES] },
  prune: { exclusive: [DRY_AND_YES] },
  copy: {
    exclusive: [
      ['<snapshot>', '--all'],
      ['<snapshot>', '--database'],
    ],
  },
  'key add': { exclusive: pairs(OWNERS) },
  'key rotate': {
    exclusive: [
      ...pairs(OWNERS),
      ...[...OWNERS, '--slot'].map(
        option => ['--epoch', option, 'an epoch is for all slots; name their secrets with --with'] as const,
      ),
    ],
    requires: [
      ['--with', '--epoch'],
      ['--retire', '--epoch'],
      ['--yes', '--epoch'],
    ],
  },
};

function pairs(options: readonly string[]): [string, string][] {
  return options.flatMap((one, i) => options.slice(i + 1).map((other): [string, string] => [one, other]));
}

/** @throws TidemarkError OPTIONS_CONTRADICT (usage). */
export function checkContradictions(command: Command): void {
  const { exclusive = [], requires = [], single = [] } = CONTRADICTIONS[commandName(command)] ?? {};
  const given = givenNames(command);
  for (const [one, other, why] of exclusive) {
    if (!given.has(one) || !given.has(other)) continue;
    const hint = `give one of ${typed(one)} and ${typed(other)}`;
    const because = why === undefined ? '' : `: ${why}`;
    throw contradiction(`${typed(one)} and ${typed(other)} contradict each other${because}`, hint);
  }
  for (const [option, ...oneOf] of requires) {
    if (!given.has(option) || oneOf.some(each => given.has(each))) continue;
    const needed = oneOf.join(' or ');
    throw contradiction(
      `${option} means nothing without ${needed}`,
      `give ${needed} too, or leave ${option} out`,
    );
  }
  for (const [option, where] of single) {
    if (given.has(where) && valuesOf(command, option) > 1)
      throw contradiction(`${where} is for one ${option}, and several are given`, `give one ${option}`);
  }
}

/** `key add` for a command of a group. */
export function commandName(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name());
  return names.join(' ');
}

function typed(name: string): string {
  return name.startsWith('<') ? name.slice(1, -1).toUpperCase() : name;
}

function contradiction(message: string, hint: string) {
  return usageError('OPTIONS_CONTRADICT', message, hint);
}
