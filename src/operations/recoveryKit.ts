import { shellCommand, shellWord } from '../base/shell.ts';
import { formatServiceKey } from '../strategy/kms.ts';
import type { KeySource } from '../strategy/spec.ts';
import { literal, reference } from '../strategy/template.ts';

/** What a recovery kit has to say of one repository. */
export interface KitFacts {
  /** Names in the strategy. */
  databases: readonly string[];
  repository: string;
  repositoryId: string;
  storage: string;
  key: KeySource;
  /** The key itself; null for a passphrase, which is not ours to print. */
  keyText: string | null;
  /** ISO 8601. */
  date: string;
  version: string;
}

const RULE = '='.repeat(78);

/** Everything that is needed to get the data back when the machine, the strategy and the key file are gone. */
export function recoveryKit(facts: KitFacts): string[] {
  const { repository, repositoryId, storage, keyText } = facts;
  return [
    RULE,
    'TIDEMARK RECOVERY KIT',
    '',
    'Print this page and keep it away from the database and from the backups, where',
    'two people can find it. Whoever has it and the storage can read everything;',
    'without the key nobody can, and nobody can make it again.',
    '',
    `  made        ${facts.date.slice(0, 10)} ${facts.date.slice(11, 16)} UTC, tidemark ${facts.version}`,
    `  databases   ${facts.databases.join(', ')}`,
    `  repository  ${repository}, id ${repositoryId}`,
    `  storage     ${storage}`,
    `  key         ${keyText ?? `a passphrase, ${whereIs(facts.key)}`}`,
    '',
    `To recover: install tidemark (Node 22.15 or later: npm install --global tidemark)`,
    `on any machine, bring the storage there (another path than ${storage}`,
    'has to be changed below), and run in an empty folder:',
    '',
    ...commands(facts),
    '',
    'The last command needs a PostgreSQL server and an empty database on it; put its',
    'password into PGPASSWORD or ~/.pgpass. --roles creates the roles that are missing.',
    RULE,
  ];
}

/** The kit's commands, as they are typed; only the target's URL has to be filled in. */
export function commands(facts: KitFacts): string[] {
  const { databases, repository, storage, keyText } = facts;
  const quoted = (text: string) => JSON.stringify(literal(text));
  return [
    'umask 077',
    keyText === null
      ? 'printf "%s" "YOUR PASSPHRASE" > recovery.key'
      : `echo ${shellWord(keyText)} > recovery.key`,
    "cat > tidemark.yaml <<'END'",
    'databases:',
    ...databases.flatMap(name => [`  ${JSON.stringify(name)}:`, `    url: ${reference('DATABASE_URL')}`]),
    'repositories:',
    `  ${JSON.stringify(repository)}:`,
    `    storage: ${quoted(storage)}`,
    '    key:',
    `      ${keyText === null ? 'passphrase_file' : 'file'}: recovery.key`,
    'END',
    'tidemark list',
    ...databases.map(name =>
      shellCommand(
        ['tidemark', 'restore', '--roles', '--to', 'postgresql://USER@HOST:5432/EMPTY_DATABASE'],
        [name],
      ),
    ),
  ];
}

function whereIs(key: KeySource): string {
  if ('path' in key) return `in ${key.path}`;
  return 'variable' in key ? `in the variable ${key.variable}` : formatServiceKey(key);
}
