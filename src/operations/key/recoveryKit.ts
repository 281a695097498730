import { shellCommand } from '../../base/shell.ts';
import type { KeySlot } from '../../repository/keys/slots.ts';
import { locationOf, type StorageSpec } from '../../storage/kinds.ts';
import { formatServiceKey } from '../../strategy/kms.ts';
import type { KeySource } from '../../strategy/spec.ts';
import { literal, reference } from '../../strategy/template.ts';
import { serviceAdvice, storageAdvice } from './kitAdvice.ts';
import type { ProgramSource } from './programSource.ts';

/** What a recovery kit has to say of one repository. */
export interface KitFacts {
  /** Names in the strategy. */
  databases: readonly string[];
  repository: string;
  repositoryId: string;
  /** As it is opened; and as the strategy writes it. */
  storage: StorageSpec;
  address: string;
  region: string | null;
  /** What opens it by the strategy. */
  key: KeySource;
  /** The key itself, where it is to be printed. */
  keyText: string | null;
  slots: readonly { slot: string; kind: KeySlot['kind']; for: string }[];
  epoch: number;
  /** ISO 8601. */
  date: string;
  version: string;
  source: ProgramSource;
}

const WIDTH = 78;
const RULE = '='.repeat(WIDTH);
/** What keeps the page one: of more, the first are named. */
const NAMES_MAX = 4;
const LETTERS_A_GROUP = 4;
const GROUPS_A_LINE = 7;

/** Everything that is needed to get the data back when the machine, the strategy and the key file are gone: one page. */
export function recoveryKit(facts: KitFacts): string[] {
  const { repository, repositoryId, epoch, date, version, databases, slots, storage } = facts;
  const advice = storageAdvice(storage);
  return [
    RULE,
    'TIDEMARK RECOVERY KIT',
    '',
    ...(facts.keyText === null ? WITHOUT_KEY : WITH_KEY),
    '',
    `  made        ${date.slice(0, 10)} ${date.slice(11, 16)} UTC, tidemark ${version}`,
    `  databases   ${some(databases)}`,
    `  repository  ${repository}, id ${repositoryId}${epoch > 0 ? `, epoch ${epoch}` : ''}`,
    `  storage     ${placeOf(facts)}`,
    `  opened by   ${openedBy(facts)}`,
    ...(slots.length > 0 ? slotLines(slots) : []),
    '',
    ...program(facts.source),
    ...advice.storage,
    'Then, in an empty folder:',
    '',
    ...commands(facts),
    '',
    'Spaces and line ends in the key do not matter; a mistyped one is told from a wrong',
    'one. The restore needs an empty database; its password goes into PGPASSWORD or',
    '~/.pgpass. --roles creates the roles that are missing.',
    '',
    'When something is missing:',
    ...advice.support,
    ...serviceAdvice(slots.map(each => each.kind)),
    'Key lost: nobody can make it again, we included. Try the other slots above.',
    RULE,
  ];
}

/** How the program comes onto a machine, as long as it is in no package registry. */
function program({ url, commit }: ProgramSource): string[] {
  return [
    'On any machine: install git, Node 22.15 or later and npm. Tidemark is in no package',
    'registry: keep a copy of it with this page, or',
    `  git clone ${url ?? 'WHERE_YOU_HAVE_TIDEMARK_FROM'} tidemark && cd tidemark`,
    ...(commit === null ? [] : [`  git checkout ${commit}`]),
    '  npm ci && PATH="$PWD/bin:$PATH"',
  ];
}

const WITH_KEY = [
  'Print this page and keep it away from the database and from the backups, where two',
  'people can find it. Whoever has it and the storage can read everything; without',
  'the key nobody can, and nobody can make it again.',
];
const WITHOUT_KEY = [
  'Print this page and keep it where two people can find it. The secret that opens the',
  'repository is not on it: keep that elsewhere, also away from the backups. Without',
  'it nobody can read them.',
];

/** The kit's commands, as they are typed; only what stands in capitals has to be filled in. */
export function commands(facts: KitFacts): string[] {
  const { databases, repository, region } = facts;
  const quoted = (text: string) => JSON.stringify(literal(text));
  const restore = (name: string) =>
    shellCommand(
      ['tidemark', 'restore', '--roles', '--to', 'postgresql://USER@HOST:5432/EMPTY_DATABASE'],
      [name],
    );
  const { written, key } = secretOf(facts);
  return [
    'umask 077',
    ...written,
    "cat > tidemark.yaml <<'END'",
    'databases:',
    ...databases.flatMap(name => [`  ${JSON.stringify(name)}:`, `    url: ${reference('DATABASE_URL')}`]),
    'repositories:',
    `  ${JSON.stringify(repository)}:`,
    `    storage: ${quoted(placeOf(facts))}`,
    ...(region === null ? [] : [`    region: ${quoted(region)}`]),
    '    key:',
    `      ${key}`,
    'END',
    'tidemark list',
    ...databases.slice(0, NAMES_MAX).map(restore),
  ];
}

/** How the secret comes onto the machine, and what the strategy says of it. */
function secretOf({ key, keyText }: KitFacts): { written: string[]; key: string } {
  switch (key.kind) {
    case 'passphraseFile':
    case 'passphraseEnv':
      return {
        written: ['printf "%s" "YOUR PASSPHRASE" > recovery.key'],
        key: 'passphrase_file: recovery.key',
      };
    case 'ageFile':
    case 'ageEnv':
      return { written: ['cp YOUR_AGE_IDENTITY_FILE recovery.key'], key: 'age_identity_file: recovery.key' };
    case 'kms':
      return { written: [], key: `kms: ${JSON.stringify(literal(formatServiceKey(key)))}` };
    default: {
      const text = keyText === null ? ['YOUR KEY: tidemark-key-1:…'] : groupedKey(keyText);
      return { written: ["cat > recovery.key <<'END'", ...text, 'END'], key: 'file: recovery.key' };
    }
  }
}

/** The text of a key as it is easily typed: in groups of four, the checksum on a line of its own. */
function groupedKey(text: string): string[] {
  const [label, body = '', sum] = text.trim().split(':');
  const groups = body.match(new RegExp(`.{1,${LETTERS_A_GROUP}}`, 'g')) ?? [];
  const lines: string[] = [];
  for (let at = 0; at < groups.length; at += GROUPS_A_LINE)
    lines.push(groups.slice(at, at + GROUPS_A_LINE).join(' '));
  return [`${label}:`, ...lines, `:${sum}`];
}

/** Where the storage is, as a strategy anywhere says it: a folder by its whole path. */
function placeOf({ storage, address }: KitFacts): string {
  return storage.kind === 'local' ? locationOf(storage) : address;
}

function openedBy({ key, keyText }: KitFacts): string {
  if (keyText !== null) return 'the key below';
  if (key.kind === 'kms') return formatServiceKey(key);
  const what = {
    file: 'the key',
    env: 'the key',
    passphraseFile: 'the passphrase',
    passphraseEnv: 'the passphrase',
    ageFile: 'the age identity',
    ageEnv: 'the age identity',
  }[key.kind];
  return 'path' in key ? `${what} in ${key.path}` : `${what} in the variable ${key.variable}`;
}

function slotLines(slots: KitFacts['slots']): string[] {
  const shown = slots.slice(0, NAMES_MAX).map(({ slot, kind, for: whom }) => {
    const line = `${slot} (${kind})${whom === '' ? '' : ` ${whom}`}`;
    return line.length > WIDTH - 14 ? `${line.slice(0, WIDTH - 15)}…` : line;
  });
  const more = slots.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].map(
    (line, i) => `  ${i === 0 ? 'slots       ' : ' '.repeat(12)}${line}`,
  );
}

function some(names: readonly string[]): string {
  const more = names.length - NAMES_MAX;
  return more > 0 ? `${names.slice(0, NAMES_MAX).join(', ')} and ${more} more` : names.join(', ') || 'none';
}
