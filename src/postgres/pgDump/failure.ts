/** What pg_dump says on stderr, as an error that says what to do, and as warnings. */
import { TidemarkError } from '../../base/errors.ts';

/** The end of pg_dump's stderr: that is where its error is. */
export class StderrTail {
  #text = '';

  append(text: string): void {
    this.#text += text;
    if (this.#text.length > 2 * STDERR_MAX_CHARACTERS) this.#text = this.text;
  }

  get text(): string {
    return this.#text.slice(-STDERR_MAX_CHARACTERS);
  }
}

const STDERR_MAX_CHARACTERS = 64 * 1024;
const DETAIL_MAX_CHARACTERS = 1000;

interface KnownFailure {
  pattern: RegExp;
  code: string;
  hint: string;
}

/** A backup locks every table, each lock takes a slot of a table that is as large as it was at the server's start. */
export const LOCKS_HINT =
  'the server has room for too few locks for this many tables: raise max_locks_per_transaction (at least the number of tables divided by max_connections) and restart it, or leave tables out with --exclude-table';

const KNOWN_FAILURES: readonly KnownFailure[] = [
  {
    pattern: /server version mismatch/,
    code: 'CLIENT_TOO_OLD',
    hint: "install a client of the server's version, or name a pg_dump in TIDEMARK_PG_DUMP",
  },
  {
    pattern:
      /invalid snapshot identifier|could not import the requested snapshot|snapshot "[^"]*" does not exist/,
    code: 'SNAPSHOT_LOST',
    hint: 'the connection that held the snapshot has ended, or it is of another server or database: run the backup again',
  },
  {
    pattern: /row-level security policy|row security policy/,
    code: 'ROW_SECURITY',
    hint: 'back up as the owner of the table or as a role with BYPASSRLS: ALTER ROLE … BYPASSRLS',
  },
  {
    pattern: /out of shared memory|max_locks_per_transaction/,
    code: 'LOCKS_EXHAUSTED',
    hint: LOCKS_HINT,
  },
  {
    pattern: /permission denied/,
    code: 'PERMISSION_DENIED',
    hint: 'GRANT pg_read_all_data TO the role that backs up, or GRANT USAGE on the schema and SELECT on the object named',
  },
  {
    pattern: /lock timeout|could not obtain lock|canceling statement due to (lock|statement) timeout/,
    code: 'LOCK_TIMEOUT',
    hint: 'another session holds a lock on a table: run again when it is done, or wait longer',
  },
  {
    pattern: /no matching (tables|schemas|extensions) were found/,
    code: 'NOTHING_MATCHES',
    hint: 'check the names of the tables and schemas that were asked for',
  },
  {
    pattern: /terminating connection|server closed the connection|could not (receive|send) data/,
    code: 'CONNECTION_LOST',
    hint: "see the server's log for why it ended the connection, then run again",
  },
  {
    pattern: /connection to server|could not connect|could not translate host name|no password supplied/,
    code: 'CONNECTION_FAILED',
    hint: 'check host, port, user and password, and that the server admits this machine',
  },
];

const SAID_HINT =
  'the text above is what pg_dump and the server say; TIDEMARK_PG_DUMP can name another pg_dump';
const SAID_NOTHING_HINT =
  'pg_dump said nothing, so it crashed or somebody ended it; TIDEMARK_PG_DUMP can name another pg_dump';

/** The error for a pg_dump that ended without a complete archive head. `ending` says how: "with exit code 1". */
export function pgDumpFailure(database: string, stderr: string, ending: string): TidemarkError {
  const said = errorText(stderr) || `it ended ${ending}`;
  const known = KNOWN_FAILURES.find(({ pattern }) => pattern.test(stderr));
  return new TidemarkError(
    known?.code ?? 'PG_DUMP_FAILED',
    `pg_dump could not read the schema of database ${database}: ${said}`,
    known?.hint ?? (stderr.trim() === '' ? SAID_NOTHING_HINT : SAID_HINT),
    { cause: stderr === '' ? undefined : new Error(stderr.trim()) },
  );
}

/** Each warning with the detail and hint lines that follow it. */
export function pgDumpWarnings(stderr: string): string[] {
  return messages(stderr)
    .filter(message => message.level === 'warning')
    .map(message => message.text);
}

/** The errors without pg_dump's prefixes; the server's own lines where pg_dump has none. */
function errorText(stderr: string): string {
  const errors = messages(stderr).filter(message => message.level === 'error');
  const text = errors.length > 0 ? errors.map(error => error.text).join('; ') : stderr.trim();
  const plain = text.replace(/\s*\n\s*/g, '; ').replace(/(ERROR|FATAL): {2}/g, '');
  return plain.slice(0, DETAIL_MAX_CHARACTERS).replace(/\.$/, '');
}

/** pg_dump's stderr cut at its prefixes, `pg_dump: warning: …`; lines without one belong to the message before. */
function messages(stderr: string): { level: string; text: string }[] {
  const found: { level: string; text: string }[] = [];
  for (const line of stderr.split('\n')) {
    const prefixed = /^\S*pg_dump: (error|warning|detail|hint): (.*)$/.exec(line);
    const last = found.at(-1);
    if (prefixed && (prefixed[1] === 'error' || prefixed[1] === 'warning')) {
      found.push({ level: prefixed[1], text: prefixed[2]! });
    } else if (last && line.trim() !== '' && !/^\S*pg_dump: terminated by user/.test(line)) {
      last.text += `\n${prefixed ? prefixed[2] : line.trim()}`;
    }
  }
  return found;
}
