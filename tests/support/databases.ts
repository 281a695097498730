import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import type { Server } from '../../src/postgres/server/throwaway.ts';
import { type ClientMajor, clientPrograms } from './servers.ts';

export interface Database {
  url: string;
  name: string;
  /** Drops it whoever is connected, subscriptions included, without talking to their publishers. */
  drop(): Promise<void>;
}

export interface DatabaseOptions {
  encoding?: string;
  locale?: string;
  /** template0 where an encoding or a locale is given. */
  template?: string;
}

/** An empty database, under a plain name that nobody else has unless one is given. */
export async function freshDatabase(
  server: Server,
  name = `test_${randomBytes(4).toString('hex')}`,
  options: DatabaseOptions = {},
): Promise<Database> {
  const { encoding, locale } = options;
  const template = options.template ?? (encoding || locale ? 'template0' : 'template1');
  const clauses = [`template ${pg.escapeIdentifier(template)}`];
  if (encoding) clauses.push(`encoding ${pg.escapeLiteral(encoding)}`);
  if (locale) clauses.push(`locale ${pg.escapeLiteral(locale)}`);
  await query(server.url(), `create database ${pg.escapeIdentifier(name)} ${clauses.join(' ')}`);
  return adopt(server, name);
}

/** A database that somebody else created there. */
export function adopt(server: Server, name: string): Database {
  return { url: server.url(name), name, drop: () => dropDatabase(server, name) };
}

async function dropDatabase(server: Server, name: string): Promise<void> {
  const subscriptions = await query<{ name: string }>(
    server.url(name),
    `select quote_ident(subname) as name from pg_subscription
      where subdbid = (select oid from pg_database where datname = current_database())`,
  );
  for (const subscription of subscriptions) {
    await query(server.url(name), `alter subscription ${subscription.name} disable`);
    await query(server.url(name), `alter subscription ${subscription.name} set (slot_name = none)`);
    await query(server.url(name), `drop subscription ${subscription.name}`);
  }
  await query(server.url(), `drop database if exists ${pg.escapeIdentifier(name)} with (force)`);
}

/** Runs one statement (or several, without parameters) on a connection of its own; the rows are those of the last. */
export async function query<Row = Record<string, unknown>>(
  url: string,
  sql: string,
  parameters?: unknown[],
): Promise<Row[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const result: unknown = await client.query(sql, parameters);
    const last = Array.isArray(result) ? result.at(-1) : result;
    return (last as { rows: Row[] }).rows;
  } finally {
    await client.end();
  }
}

export interface ClientOptions {
  input?: string;
  env?: Record<string, string>;
  /** Of which version; 15 unless told. */
  major?: ClientMajor;
  /** Complaints that may be, and the exit code they bring; unless told, the exit code alone decides. */
  allowed?: RegExp[];
}

/** Runs a stock client program and returns what it printed; a failure throws with what it complained about. */
export async function clientTool(tool: string, args: string[], options: ClientOptions = {}): Promise<string> {
  const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', PGAPPNAME: 'tidemark test', ...options.env };
  const child = spawn(join(clientPrograms(options.major ?? 15), tool), args, { env, stdio: 'pipe' });
  // A program that ends without reading its input is judged by its exit code.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const [output, complaint, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  const failed = options.allowed ? !isAllowed(complaint, options.allowed) : code !== 0;
  if (failed) throw new Error(`${tool} ${args.join(' ')} ended with ${code}: ${complaint}`);
  return output;
}

/** Whether each error is one that may be. */
function isAllowed(complaint: string, allowed: RegExp[]): boolean {
  const errors = complaint.split('\n').filter(line => /\b(ERROR|FATAL|PANIC|error|fatal): /.test(line));
  return errors.every(line => allowed.some(each => each.test(line)));
}

/** Runs psql on a database; it stops at the first error. Give `-c`, `-f`, or an input. */
export function psql(url: string, args: string[], input?: string): Promise<string> {
  return clientTool('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', url, ...args], { input });
}

/**
 * The database as text, by stock pg_dump (15 unless told; it refuses servers newer than itself), without what differs
 * between two dumps of equal databases: the random \restrict key, the comments about versions and times, and how moments
 * and bytes are written (settings of the database, which not every restore brings along).
 */
export async function pgDumpText(url: string, args: string[] = [], major?: ClientMajor): Promise<string> {
  return normalizeDump(
    await clientTool('pg_dump', ['-d', url, ...args], {
      major,
      env: { PGTZ: 'UTC', PGOPTIONS: '-c bytea_output=hex' },
    }),
  );
}

const NAME = String.raw`(?:"(?:[^"]|"")*"|[\w$]+)`;
const INTERNAL_OPTION = new RegExp(
  String.raw`^(ALTER (?:FOREIGN )?TABLE ONLY ${NAME}\.${NAME} ALTER COLUMN ${NAME} SET \()pg_attver=\d+(, |\);\n)`,
  'gm',
);

/**
 * A script of stock pg_restore without the column option that 15.20, 17.12 and others of November 2026 keep for themselves:
 * pg_dumps that don't know of it write down what other servers then refuse.
 */
export function withoutInternalOptions(script: string): string {
  return script.replace(INTERNAL_OPTION, (_all, start, end) => (end === ', ' ? start : ''));
}

const VOLATILE_LINE = /^(\\(un)?restrict [A-Za-z0-9]+|-- (Dumped (from|by)|Started on|Completed on) .*)\n/gm;

export function normalizeDump(dump: string): string {
  return dump.replace(VOLATILE_LINE, '');
}
