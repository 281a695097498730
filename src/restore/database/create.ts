import { isUtf8 } from 'node:buffer';
import type { Archive } from '../../postgres/archive/entry.ts';
import { encodingStatement } from '../../postgres/archive/statements.ts';
import { encodeText } from '../../postgres/encoding.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { quoteLiteral, quoteName, Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { withDatabase } from '../../postgres/settings/settings.ts';
import type { DatabaseDefinition } from './definition.ts';

/** What a manifest says of its source, for snapshots whose archive has no CREATE DATABASE. */
export interface SourceLocale {
  encoding: string;
  collate: string;
  ctype: string;
  localeProvider: string;
  icuLocale: string | null;
}

export interface NewDatabase {
  archive: Archive;
  definition: DatabaseDefinition;
  source: SourceLocale;
  /** Whether it gets the definition's owner, and its tablespace; else the role's own and the server's default. */
  owner: boolean;
  tablespaces: boolean;
}

/** From these versions on CREATE DATABASE knows the clause. */
const BUILTIN_PROVIDER_MAJOR = 17;
const ICU_RULES_MAJOR = 16;

/**
 * Creates an empty database as CREATE DATABASE made the source's: encoding, locale with its provider and rules,
 * tablespace, owner. Resolves to what this server could not do.
 */
export async function createDatabase(session: Session, name: string, wanted: NewDatabase): Promise<string[]> {
  const { archive, definition } = wanted;
  const notes: string[] = [];
  const clauses = definition.clauses.size > 0 ? new Map(definition.clauses) : clausesOfSource(wanted.source);
  adaptToServer(clauses, session.serverMajor, notes);
  clauses.set('TEMPLATE', 'template0');
  clauses.delete('OID');
  if (!wanted.tablespaces) clauses.delete('TABLESPACE');
  const owner = wanted.owner && definition.owner ? quoteName(definition.owner) : null;
  // A name that is not UTF-8 can only be said in a database of its encoding.
  const isLate = owner !== null && !isUtf8(encodeText(owner, archive.text));
  if (owner !== null && !isLate) clauses.set('OWNER', owner);
  const options = [...clauses].map(([key, value]) => `${key} = ${value}`).join(' ');
  try {
    // What stands in catalogs that all databases share has no encoding: it goes as the bytes it came in.
    await session.run(
      Buffer.concat([
        Buffer.from(`CREATE DATABASE ${quoteName(name)}`),
        encodeText(` WITH ${options}`, archive.text),
      ]),
    );
    if (isLate) await giveTo(owner, withDatabase(session.settings, name), archive);
    return notes;
  } catch (error) {
    throw explainCreate(error, name, wanted);
  }
}

async function giveTo(owner: string, database: ConnectionSettings, archive: Archive): Promise<void> {
  const session = await Session.open(database, 'tidemark restore');
  try {
    await session.run(encodingStatement(archive));
    const name = Buffer.from(`ALTER DATABASE ${quoteName(database.database)}`);
    await session.run(Buffer.concat([name, encodeText(` OWNER TO ${owner}`, archive.text)]));
  } finally {
    await session.close();
  }
}

function clausesOfSource(source: SourceLocale): Map<string, string> {
  const clauses = new Map([
    ['ENCODING', quoteLiteral(source.encoding)],
    ['LC_COLLATE', quoteLiteral(source.collate)],
    ['LC_CTYPE', quoteLiteral(source.ctype)],
  ]);
  if (source.localeProvider === 'i') {
    clauses.set('LOCALE_PROVIDER', 'icu').set('ICU_LOCALE', quoteLiteral(source.icuLocale ?? ''));
  } else if (source.localeProvider === 'b') {
    clauses.set('LOCALE_PROVIDER', 'builtin').set('BUILTIN_LOCALE', quoteLiteral(source.icuLocale ?? 'C'));
  } else clauses.set('LOCALE_PROVIDER', 'libc');
  return clauses;
}

function adaptToServer(clauses: Map<string, string>, major: number, notes: string[]): void {
  if (clauses.get('LOCALE_PROVIDER') === 'builtin' && major < BUILTIN_PROVIDER_MAJOR) {
    notes.push(
      `the locale ${clauses.get('BUILTIN_LOCALE')} of the builtin provider became the C library's: PostgreSQL ${major} has no builtin one, so texts may sort otherwise`,
    );
    clauses.set('LOCALE_PROVIDER', 'libc');
    clauses.delete('BUILTIN_LOCALE');
  }
  if (clauses.has('ICU_RULES') && major < ICU_RULES_MAJOR) {
    notes.push(`ICU_RULES was left out: PostgreSQL ${major} does not know it, so texts may sort otherwise`);
    clauses.delete('ICU_RULES');
  }
}

function explainCreate(error: unknown, name: string, { source }: NewDatabase): unknown {
  if (!(error instanceof PostgresError)) return error;
  const what = `can't create database ${name}`;
  if (error.code === '42501' && /create database/.test(error.message)) {
    const remedy =
      'let the role create databases (ALTER ROLE … CREATEDB), or create an empty one yourself and restore into it with --to';
    return error.explained({ code: 'CREATEDB_MISSING', what, remedy });
  }
  // invalid_parameter_value and its like are of the clauses; a timeout or a full disk has nothing to do with the locale.
  const remedy = ['22023', '42809', '42704'].includes(error.code)
    ? `the source has encoding ${source.encoding}, collation ${source.collate}; where the server lacks it, create an empty database by hand and restore into it with --to`
    : undefined;
  return error.explained({ code: 'DATABASE_NOT_CREATED', what, remedy });
}
