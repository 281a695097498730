/**
 * The SQL that pg_restore runs for an entry of the table of contents.
 * Source: pg_backup_archiver.c (_printTocEntry, _getObjectDescription, _doSetFixedOutputState) and pg_backup_db.c
 * (IssueCommandPerBlob, IssueACLPerBlob) of PostgreSQL 15 to 19, archive versions 1.14 to 1.16.
 */
import { faultError } from '../../base/errors.ts';
import type { Archive, ArchiveEntry } from './entry.ts';
import { quoteIdentifier, quoteQualified } from './quote.ts';

/** What of an entry is wanted; each is on unless it is said to be off (pg_restore's --no-owner, --no-acl, …). */
export interface StatementOptions {
  owner?: boolean;
  acl?: boolean;
  tablespaces?: boolean;
  tableAccessMethods?: boolean;
  comments?: boolean;
  securityLabels?: boolean;
  policies?: boolean;
  publications?: boolean;
  subscriptions?: boolean;
  /** DATABASE, DATABASE PROPERTIES and what hangs on them; off unless it is said to be on (pg_restore's --create). */
  database?: boolean;
}

/** Entries that only say how the archive was written: the session's preamble, never a statement of their own. */
const SETTINGS = new Set(['ENCODING', 'STDSTRINGS', 'SEARCHPATH']);

/** Objects whose ALTER … OWNER TO is `ALTER <kind> <name> OWNER TO`. */
const OWNED_BY_NAME = new Set(
  (
    'COLLATION,CONVERSION,DOMAIN,FOREIGN TABLE,MATERIALIZED VIEW,SEQUENCE,STATISTICS,TABLE,TEXT SEARCH DICTIONARY,' +
    'TEXT SEARCH CONFIGURATION,TYPE,VIEW,PROPERTY GRAPH,DATABASE,PROCEDURAL LANGUAGE,SCHEMA,EVENT TRIGGER,' +
    'FOREIGN DATA WRAPPER,SERVER,PUBLICATION,SUBSCRIPTION'
  ).split(','),
);

/** Objects that need more than a name (arguments, access method): their DROP statement has it. */
const OWNED_BY_SIGNATURE = new Set([
  'AGGREGATE',
  'FUNCTION',
  'OPERATOR',
  'OPERATOR CLASS',
  'OPERATOR FAMILY',
  'PROCEDURE',
]);

/** Before this version pg_dump wrote ALTER TABLE for these too; either means the same. */
const DUMP_MAJOR_NAMING_VIEWS = 16;
const OWNED_AS_TABLE = new Set(['VIEW', 'MATERIALIZED VIEW', 'SEQUENCE']);

export function isSettingsEntry(entry: ArchiveEntry): boolean {
  return SETTINGS.has(entry.desc);
}

export function isAclEntry(entry: ArchiveEntry): boolean {
  return entry.desc === 'ACL' || entry.desc === 'ACL LANGUAGE' || entry.desc === 'DEFAULT ACL';
}

/** DATABASE and DATABASE PROPERTIES, and comments, privileges and labels of the database. */
export function isDatabaseEntry(entry: ArchiveEntry): boolean {
  if (entry.desc === 'DATABASE' || entry.desc === 'DATABASE PROPERTIES') return true;
  const describes = entry.desc === 'ACL' || entry.desc === 'COMMENT' || entry.desc === 'SECURITY LABEL';
  return describes && entry.tag.startsWith('DATABASE ');
}

/** Whether the options leave this entry in. */
export function isWanted(entry: ArchiveEntry, options: StatementOptions = {}): boolean {
  const { desc, tag } = entry;
  if (isSettingsEntry(entry)) return false;
  if (isDatabaseEntry(entry) && !options.database) return false;
  if (options.acl === false && isAclEntry(entry)) return false;
  if (options.comments === false && desc === 'COMMENT') return false;
  if (options.securityLabels === false && desc === 'SECURITY LABEL') return false;
  const isAbout = (kind: string) =>
    desc === kind || ((desc === 'COMMENT' || desc === 'SECURITY LABEL') && tag.startsWith(`${kind} `));
  if (options.policies === false && (isAbout('POLICY') || desc === 'ROW SECURITY')) return false;
  if (options.publications === false && (isAbout('PUBLICATION') || desc.startsWith('PUBLICATION TABLE')))
    return false;
  if (options.subscriptions === false && (isAbout('SUBSCRIPTION') || desc === 'SUBSCRIPTION TABLE'))
    return false;
  return true;
}

function settingOf({ entries }: Pick<Archive, 'entries'>, desc: string): string | null {
  return entries.find(entry => entry.desc === desc)?.defn ?? null;
}

/** Client encoding that an archive's strings and rows are in, as PostgreSQL names it (UTF8, LATIN1, SQL_ASCII, …). */
export function archiveEncoding(archive: Pick<Archive, 'entries'>): string {
  return settingOf(archive, 'ENCODING')?.match(/'([^']*)'/)?.[1] ?? 'UTF8';
}

/** What a session must have said before it is sent the archive's statements as they are. */
export function encodingStatement(archive: Archive): string {
  return `SET client_encoding = '${archiveEncoding(archive)}';`;
}

/** Whether backslashes in the archive's '…' literals are plain characters (nearly always). */
export function hasStandardStrings(archive: Archive): boolean {
  return settingOf(archive, 'STDSTRINGS')?.match(/'([^']*)'/)?.[1] !== 'off';
}

/**
 * What pg_restore sets at the start of every session, one statement a string. `transaction_timeout` exists since
 * PostgreSQL 17; unless told, it is set when pg_dump was that new.
 */
export function sessionPreamble(archive: Archive, options: { transactionTimeout?: boolean } = {}): string[] {
  const transactionTimeout = options.transactionTimeout ?? dumpMajor(archive) >= 17;
  const standard = hasStandardStrings(archive);
  const searchPath = settingOf(archive, 'SEARCHPATH');
  return [
    'SET statement_timeout = 0;',
    'SET lock_timeout = 0;',
    'SET idle_in_transaction_session_timeout = 0;',
    ...(transactionTimeout ? ['SET transaction_timeout = 0;'] : []),
    encodingStatement(archive),
    `SET standard_conforming_strings = ${standard ? 'on' : 'off'};`,
    ...(searchPath ? [searchPath.trimEnd()] : []),
    'SET check_function_bodies = false;',
    'SET xmloption = content;',
    'SET client_min_messages = warning;',
    ...(standard ? [] : ['SET escape_string_warning = off;']),
    'SET row_security = off;',
  ];
}

/** The session settings an entry is created under; null where it doesn't care. pg_restore sets them when they change. */
export interface EntrySession {
  /** '' is the database's default tablespace. */
  tablespace: string | null;
  tableAccessMethod: string | null;
}

export function entrySession(entry: ArchiveEntry, options: StatementOptions = {}): EntrySession {
  const usesAccessMethod = options.tableAccessMethods !== false && entry.relkind !== 'p';
  return {
    tablespace: options.tablespaces === false ? null : entry.tablespace,
    tableAccessMethod: usesAccessMethod && entry.tableam ? entry.tableam : null,
  };
}

export function tablespaceStatement(tablespace: string): string {
  return `SET default_tablespace = ${tablespace === '' ? "''" : quoteIdentifier(tablespace)};`;
}

export function accessMethodStatement(accessMethod: string): string {
  return `SET default_table_access_method = ${quoteIdentifier(accessMethod)};`;
}

/**
 * What an entry says, without session settings: groups of statements as pg_restore prints them, an empty line after
 * each group, one statement a string. Empty where the options leave the entry out or it has rows only.
 */
export function entryGroups(
  archive: Archive,
  entry: ArchiveEntry,
  options: StatementOptions = {},
): string[][] {
  if (!isWanted(entry, options)) return [];
  const definition = definitionOf(archive, entry, options);
  const owner = options.owner === false ? [] : ownerOf(archive, entry);
  const groups = [definition, owner];
  if (entry.relkind === 'p' && entry.tableam && options.tableAccessMethods !== false) {
    const name = quoteQualified(entry.namespace, entry.tag);
    groups.push([`ALTER TABLE ${name} SET ACCESS METHOD ${quoteIdentifier(entry.tableam)};`]);
  }
  return groups.filter(group => group.length > 0);
}

/**
 * The SQL pg_restore runs for one entry, each string one simple query (several statements in one string, where pg_dump
 * wrote them together, run as one transaction, as they do in pg_restore). Rows (TABLE DATA, BLOBS) are not among them.
 * Settings the entry needs come first, whatever the session has already.
 */
export function entryStatements(
  archive: Archive,
  entry: ArchiveEntry,
  options: StatementOptions = {},
): string[] {
  const statements = entryGroups(archive, entry, options).flat();
  if (statements.length === 0) return [];
  const session = entrySession(entry, options);
  const settings: string[] = [];
  if (session.tablespace !== null) settings.push(tablespaceStatement(session.tablespace));
  if (session.tableAccessMethod !== null) settings.push(accessMethodStatement(session.tableAccessMethod));
  return [...settings, ...statements];
}

function definitionOf(archive: Archive, entry: ArchiveEntry, options: StatementOptions): string[] {
  if (options.owner === false && entry.desc === 'SCHEMA' && !isCommentOnly(entry)) {
    // An old pg_dump's CREATE SCHEMA names the owner; without owners it must not.
    return [`CREATE SCHEMA ${quoteIdentifier(entry.tag)};\n`];
  }
  if (entry.desc === 'BLOB METADATA') {
    return largeObjectsOf(entry).map(oid => `SELECT pg_catalog.lo_create('${oid}');`);
  }
  if (entry.desc === 'ACL' && entry.tag.startsWith('LARGE OBJECTS')) return largeObjectAcl(archive, entry);
  return entry.defn ? [entry.defn] : [];
}

/** pg_dump writes `-- *not* creating schema, …` for schema public. */
function isCommentOnly(entry: ArchiveEntry): boolean {
  return entry.defn?.startsWith('--') ?? false;
}

/** The OIDs of a BLOB METADATA entry (one a line), or the one of a BLOB entry. */
export function largeObjectsOf(entry: ArchiveEntry): string[] {
  if (entry.desc === 'BLOB') return [entry.tag];
  const lines = (entry.defn ?? '').split('\n').slice(0, -1);
  const odd = lines.find(line => !/^\d+$/.test(line));
  if (odd !== undefined) {
    throw faultError(
      'ARCHIVE_DAMAGED',
      `${entry.desc} entry ${entry.dumpId} lists "${odd}", which is no large object's OID`,
      'verify the repository and restore another snapshot',
    );
  }
  return lines;
}

function ownerOf(archive: Archive, entry: ArchiveEntry): string[] {
  // What can't be dropped by itself has no owner of its own.
  if (!entry.owner || !entry.dropStmt) return [];
  const owner = quoteIdentifier(entry.owner);
  if (entry.desc === 'BLOB METADATA') {
    return largeObjectsOf(entry).map(oid => `ALTER LARGE OBJECT ${oid} OWNER TO ${owner};`);
  }
  const object = describeOwned(archive, entry);
  return object === null ? [] : [`ALTER ${object} OWNER TO ${owner};`];
}

/** What ALTER … OWNER TO calls the object, or null for a kind that has no owner of its own. */
function describeOwned(archive: Archive, entry: ArchiveEntry): string | null {
  const { desc } = entry;
  if (OWNED_BY_NAME.has(desc)) {
    const isOlder = dumpMajor(archive) < DUMP_MAJOR_NAMING_VIEWS;
    const kind = isOlder && OWNED_AS_TABLE.has(desc) ? 'TABLE' : desc;
    return `${kind} ${quoteQualified(entry.namespace, entry.tag)}`;
  }
  if (desc === 'BLOB') return `LARGE OBJECT ${entry.tag}`;
  if (OWNED_BY_SIGNATURE.has(desc)) return entry.dropStmt!.slice('DROP '.length).replace(/[;\n]+$/, '');
  return null;
}

function dumpMajor(archive: Archive): number {
  return Number.parseInt(archive.header.dumpVersion ?? '', 10);
}

/**
 * Privileges of a group of large objects (archive version 1.16): the archive has the statements once, for one object;
 * they are repeated for each object of the BLOB METADATA entry they depend on.
 */
function largeObjectAcl(archive: Archive, entry: ArchiveEntry): string[] {
  const metadata = archive.entries.find(other => other.dumpId === entry.dependencies[0]);
  if (metadata?.desc !== 'BLOB METADATA') {
    throw faultError(
      'ARCHIVE_DAMAGED',
      `privileges of ${entry.tag} (entry ${entry.dumpId}) belong to no list of large objects`,
      'verify the repository and restore another snapshot',
    );
  }
  const oids = largeObjectsOf(metadata);
  return splitStatements(entry.defn ?? '').flatMap(statement => {
    const at = /\bLARGE OBJECT \d+/.exec(
      statement.replace(/"(?:[^"]|"")*"/g, quoted => '_'.repeat(quoted.length)),
    );
    if (!at) return [statement];
    const before = statement.slice(0, at.index);
    const after = statement.slice(at.index + at[0].length);
    return oids.map(oid => `${before}LARGE OBJECT ${oid}${after}`);
  });
}

/** Statements that hold nothing harder than double-quoted names, cut at their semicolons. */
function splitStatements(sql: string): string[] {
  return (sql.match(/(?:"(?:[^"]|"")*"|[^";])+;/g) ?? []).map(statement => statement.trim());
}
