import { type ErrorKind, type Explainable, TidemarkError } from '../base/errors.ts';

/** What a failure is to those who asked for the work. */
export interface Explanation {
  /** Unless told, SERVER_ERROR. */
  code?: string;
  /** What failed, before the server's words. */
  what?: string;
  /** What to do, before the server's DETAIL, HINT and CONTEXT. Only what this SQLSTATE makes certain. */
  remedy?: string;
  /** What else could be done; the last line of the hint. */
  otherwise?: string;
  kind?: ErrorKind;
  /** The statement may hold a secret, such as a setting's value or a connection string, which the server may repeat. */
  secret?: boolean;
}

/**
 * SQLSTATEs whose words name objects, options or roles and never repeat a value: insufficient_privilege,
 * undefined_object, duplicate_object, undefined_table, undefined_schema, feature_not_supported, undefined_file.
 */
const NAMES_ONLY = new Set(['42501', '42704', '42710', '42P01', '3F000', '0A000', '58P01']);

const FIELDS = {
  ...{ C: 'code', V: 'severity', D: 'detail', H: 'hint', W: 'where', P: 'position' },
  ...{ s: 'schema', t: 'table', c: 'column', d: 'dataType', n: 'constraint' },
} as const;

type Fields = Partial<Record<(typeof FIELDS)[keyof typeof FIELDS], string>>;

/** An error or notice as the server sent it. Source: https://www.postgresql.org/docs/current/protocol-error-fields.html */
export class PostgresError extends Error implements Explainable {
  /** SQLSTATE. */
  readonly code: string;
  readonly severity: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  /** CONTEXT: the functions and statements that were being run. */
  readonly where: string | undefined;
  /** The character of the statement that it is about, from 1. */
  readonly position: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly dataType: string | undefined;
  readonly constraint: string | undefined;

  private constructor(message: string, fields: Fields) {
    super(message);
    this.name = 'PostgresError';
    this.code = fields.code ?? 'XX000';
    this.severity = fields.severity ?? 'ERROR';
    this.detail = fields.detail;
    this.hint = fields.hint;
    this.where = fields.where;
    this.position = fields.position;
    this.schema = fields.schema;
    this.table = fields.table;
    this.column = fields.column;
    this.dataType = fields.dataType;
    this.constraint = fields.constraint;
  }

  /** @param decode text of the session's client_encoding. */
  static parse(body: Buffer, decode = (bytes: Buffer) => bytes.toString('utf8')): PostgresError {
    const fields: Fields = {};
    let message = 'unknown error';
    let localized: string | undefined;
    for (let at = 0; at < body.length && body[at] !== 0; ) {
      const end = body.indexOf(0, at + 1);
      if (end < 0) break;
      const mark = String.fromCharCode(body[at]!);
      const text = decode(body.subarray(at + 1, end));
      if (mark === 'M') message = text;
      else if (mark === 'S') localized = text;
      else if (Object.hasOwn(FIELDS, mark)) fields[FIELDS[mark as keyof typeof FIELDS]] = text;
      at = end + 1;
    }
    return new PostgresError(message, { severity: localized, ...fields });
  }

  /** The error if it is a server's: also as pg has it, or as it came from another thread. */
  static of(error: unknown): PostgresError | undefined {
    if (error instanceof PostgresError) return error;
    if (!(error instanceof Error)) return undefined;
    const fields = error as Error & Fields;
    if (fields.severity === undefined || !/^[0-9A-Z]{5}$/.test(fields.code ?? '')) return undefined;
    return new PostgresError(error.message, fields);
  }

  /** For a person: the server's words, and its DETAIL, HINT, CONTEXT and object, each on a line of the hint. */
  explained(explanation: Explanation = {}): TidemarkError {
    const { code = 'SERVER_ERROR', what, remedy, otherwise, kind, secret } = explanation;
    const withheld = secret === true && !NAMES_ONLY.has(this.code);
    const words = withheld ? 'the server refused it' : this.message;
    const message = `${what === undefined ? '' : `${what}: `}${words} (SQLSTATE ${this.code})`;
    const rest = withheld
      ? ["its words may repeat a value or a connection string: they are in the server's log"]
      : this.lines();
    const hint = [remedy, ...rest, otherwise].filter(line => line !== undefined).join('\n');
    return new TidemarkError(code, message, hint, { kind, cause: withheld ? undefined : this });
  }

  /** In one line, for a note. */
  said({ secret }: Pick<Explanation, 'secret'> = {}): string {
    const { message, hint } = this.explained({ secret });
    return [message, ...hint.split('\n').filter(Boolean)].join('; ');
  }

  lines(): string[] {
    const { detail, hint, where } = this;
    return [
      detail && `DETAIL: ${detail}`,
      hint && `HINT: ${hint}`,
      where && `CONTEXT: ${where}`,
      this.#object(),
    ].filter(line => line !== undefined && line !== '') as string[];
  }

  #object(): string | undefined {
    const { schema, table, column, dataType, constraint } = this;
    const within = (name: string) => (schema === undefined ? name : `${schema}.${name}`);
    const parts = [
      table !== undefined && `table ${within(table)}`,
      column !== undefined && `column ${column}`,
      dataType !== undefined && `type ${within(dataType)}`,
      constraint !== undefined && `constraint ${constraint}`,
    ].filter(Boolean);
    if (parts.length > 0) return `OBJECT: ${parts.join(', ')}`;
    return schema === undefined ? undefined : `OBJECT: schema ${schema}`;
  }
}

/** The connection was cut, by whomever, and with it what the session was doing. */
export function connectionLost(cause?: unknown): TidemarkError {
  const ended = PostgresError.of(cause);
  return new TidemarkError(
    'CONNECTION_LOST',
    `the connection to the server was lost${ended ? `: ${ended.message} (SQLSTATE ${ended.code})` : ''}`,
    "see the server's log for why, and whether a proxy or a firewall in between cuts long or idle connections; then run the command again",
    { cause },
  );
}

/** Whether the server refused a lock that somebody else holds, or waits for before us: lock_not_available, deadlock_detected. */
export function isLockRefused(error: unknown): boolean {
  return error instanceof PostgresError && (error.code === '55P03' || error.code === '40P01');
}
