/** The strategy file that `tidemark init` writes: whole, explained, and right as it stands. */
import { stringify } from 'yaml';
import { shellCommand } from '../base/shell.ts';

export interface TemplateOptions {
  /** What the database is called in the strategy; characters that its names can't have become `-`. */
  databaseName: string;
  /**
   * An expression such as `${DATABASE_URL}`; never the URL itself, since the file is meant to be committed. Or the keys
   * that stand in its place, such as `host` and `dbname`.
   */
  url: string | Readonly<Record<string, string>>;
  /** A folder, as written into the file. */
  storage: string;
  /** The key file, as written into the file. */
  keyFile: string;
  /** What was found when the database was looked at. */
  facts?: TemplateFacts;
}

export interface TemplateFacts {
  /** As `17.5`. */
  serverVersion?: string;
  sizeBytes?: number;
  /** As `Neon`. */
  provider?: string;
  /** What the role may or may not do, one sentence each. */
  privileges?: readonly string[];
}

/**
 * Renders a strategy with one database, one repository, a daily plan and one for before deployments. What it returns
 * loads without faults wherever the variables of `url` are set.
 *
 * @returns YAML text that ends in a newline.
 */
export function renderStrategy({ databaseName, url, storage, keyFile, facts }: TemplateOptions): string {
  const name = entryName(databaseName);
  return `${HEAD}
${databases(scalar(name), typeof url === 'string' ? { url } : url, facts ?? {})}
${repositories(scalar(storage), scalar(keyFile))}
${plans(scalar(literal(name)), name)}`;
}

const HEAD = `# tidemark.yaml: what is backed up, where the copies go, and how long they stay.
#
# Commit this file: it holds no secrets. \${NAME} is an environment variable, \${NAME:-x} one with a default; variables
# may also stand in .env or .env.local beside this file. Paths start in this file's folder; ~ is your home directory.
# After a change, run any command: all mistakes are shown at once, each with its line, and nothing runs until they are
# corrected.
`;

function databases(name: string, connection: Readonly<Record<string, string>>, facts: TemplateFacts): string {
  const lines = Object.entries(connection).map(([key, value]) => `${key}: ${scalar(value)}`);
  return `databases:
  ${name}:${factLines(facts)}
    # Instead of url: url_file (a file that holds the URL), or host, port, user, password_file, dbname and sslmode.
    # Behind a connection pooler, give the direct address: a backup needs one session from beginning to end.
    ${lines.join('\n    ')}
    objectives:
      rpo: 24h    # as much work may be lost at most; no schedule below may leave a longer gap
      rto: 2h     # as long may a recovery take
`;
}

function factLines({ serverVersion, sizeBytes, provider, privileges = [] }: TemplateFacts): string {
  const found = [
    serverVersion && `PostgreSQL ${serverVersion}`,
    sizeBytes !== undefined && formatSize(sizeBytes),
    provider && `at ${provider}`,
  ].filter(Boolean);
  const lines = [
    ...(found.length > 0 ? [`Found by tidemark init: ${found.join(', ')}.`] : []),
    ...privileges,
  ];
  return lines.map(line => `\n    # ${oneLine(line)}`).join('');
}

function repositories(storage: string, keyFile: string): string {
  return `repositories:
  primary:
    # A folder or a file:// URL. Not on the disk that the database is on: whatever takes the one would take the other.
    storage: ${storage}
    # Everything in there is encrypted with this key. Keep a copy of it apart from the backups and from this machine:
    # without it nobody can read them, and nobody can make it again.
    # Also: { env: TIDEMARK_KEY }, { passphrase_env: TIDEMARK_PASSPHRASE } or { passphrase_file: path }.
    key:
      file: ${keyFile}
`;
}

function plans(database: string, name: string): string {
  return `plans:
  daily:
    database: ${database}
    capture: logical          # schema and rows: goes back into any PostgreSQL of the same or a later version
    # Five cron fields, in UTC and in quotes: minute, hour, day of the month, month, weekday.
    #   "0 * * * *" hourly    "0 */6 * * *" every six hours    "0 3 * * sun" Sundays at 03:00    manual: when you say so
    schedule: "0 2 * * *"
    store: [primary]
    # A snapshot stays as long as one of these rules wants it; the last good one always stays. Each tier keeps the
    # newest snapshot of so many days, weeks or months; snapshots share what is equal, so old ones cost little.
    # A tier may also be a length of time, monthly: 3y: the newest of each month, for three years.
    # The short form, keep: 30d, keeps everything for thirty days and nothing longer. What stays in one repository may
    # differ: store: [primary, { repository: archive, keep: 7y }].
    keep:
      within: 48h             # all of the last two days
      daily: 30
      weekly: 12
      monthly: 12
      # yearly: 7
      min: 3                  # never fewer than these, even when backups have stopped for months
    # Leave tables out, by schema and name; * stands for anything:
    # tables:
    #   exclude: [public.sessions, public.cache_*]
    # compression: 3          # 1 (fast) to 19 (small)
    # jobs: 2                 # connections that read at the same time
    # lock_wait: 10m          # for tables that others keep locked

  # Run it before you deploy: ${shellCommand(['tidemark', 'backup', '--plan', 'before-deploy'], [name])}
  before-deploy:
    database: ${database}
    capture: logical
    schedule: manual
    store: [primary]
    keep: 90d
`;
}

/** A variable as a value of the file names it: `${NAME}`. */
export function reference(name: string): string {
  return `\${${name}}`;
}

/** A text as a value of the file that is taken as it stands: `${` would start a reference. */
export function literal(text: string): string {
  return text.replaceAll('${', () => '$${');
}

/** PostgreSQL's names may contain what names of a strategy may not. */
export function entryName(databaseName: string): string {
  return databaseName.replace(/[\u0000-\u001f\u007f-\u009f/]/g, '-') || 'main';
}

/** A YAML scalar on one line, in quotes where it needs them. */
function scalar(text: string): string {
  if (text === '<<') return JSON.stringify(text);
  return stringify(text, { lineWidth: 0, defaultStringType: 'PLAIN', blockQuote: false }).trimEnd();
}

/** Text from a server, safe inside of a comment. */
function oneLine(text: string): string {
  return text.replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
}

function formatSize(sizeBytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let amount = sizeBytes;
  let unit = 0;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit++;
  }
  return `${unit > 0 && amount < 10 ? amount.toFixed(1) : Math.round(amount)} ${units[unit]}`;
}
