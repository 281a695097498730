import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import pg from 'pg';
import { query } from './databases.ts';

/**
 * The zoo: a database with one of every kind of object that pg_dump knows (dbObjectTypePriorities in pg_dump_sort.c) and
 * of every value that a backup has been known to lose. Its SQL is plain, with no psql commands, so `psql -f` loads it
 * too: globals.sql once for a server, then the files of `zooFiles` in a fresh UTF-8 database, as superuser.
 *
 * What it can't hold: security labels (a stock server has no provider for them), and entries that only exist in binary
 * upgrades (SUBSCRIPTION_REL). Planner statistics (STATISTICS_DATA) are there after an ANALYZE.
 */
const FOLDER = join(import.meta.dirname, 'zoo');
const ANY_VERSION = [
  'data-types',
  'tables',
  'values',
  'partitions',
  'code',
  'large-objects',
  'extension',
  'tablespace',
  'security',
  'comments',
];

/**
 * Tables, as pg_dump's patterns, whose rows lie in other partitions and come in another order in an equal database: they
 * are hashed by an enum, and the hash of an enum value is that of its object identifier.
 */
export const UNORDERED_TABLES = ['zoo.by_mood_*'];
const TABLESPACE = 'zoo_space';
const SECTION = /^-- ## .*$/m;

/** The files that fill a database, in order, for a server of that major version. */
export function zooFiles(major: number): string[] {
  const newer = [16, 17, 18, 19].filter(version => version <= major).map(version => `since-${version}`);
  return [...ANY_VERSION, ...newer].map(name => join(FOLDER, `${name}.sql`));
}

/** Makes on a server what the zoo needs beside its database: roles and a tablespace. May be called again. */
export async function loadZooGlobals(url: string): Promise<void> {
  await query(url, readFileSync(join(FOLDER, 'globals.sql'), 'utf8'));
  const found = await query(url, 'select 1 from pg_catalog.pg_tablespace where spcname = $1', [TABLESPACE]);
  if (found.length > 0) return;
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query('set allow_in_place_tablespaces = on');
    await client.query(
      `create tablespace ${TABLESPACE} owner zoo_owner location '' with (random_page_cost = 1.5)`,
    );
    await client.query(`comment on tablespace ${TABLESPACE} is 'inside the data directory'`);
    await client.query(`grant create on tablespace ${TABLESPACE} to zoo_writer`);
  } finally {
    await client.end();
  }
}

/** Fills an empty database with the zoo, and its server with what the zoo needs. */
export async function loadZoo(url: string): Promise<void> {
  await loadZooGlobals(url);
  const [version] = await query<{ major: number }>(
    url,
    `select pg_catalog.current_setting('server_version_num')::integer / 10000 as major`,
  );
  for (const file of zooFiles(version!.major)) await loadFile(url, file);
}

/** A section is one implicit transaction; the next may use what it made (enum values, deferred constraints). */
async function loadFile(url: string, file: string): Promise<void> {
  const sql = readFileSync(file, 'utf8');
  const client = new pg.Client(url);
  await client.connect();
  try {
    let line = 1;
    for (const section of sql.split(SECTION)) {
      await client.query(section).catch(error => {
        throw atLine(error, file, line, section);
      });
      line += section.split('\n').length - 1;
    }
  } finally {
    await client.end();
  }
}

function atLine(error: Error & { position?: string }, file: string, from: number, section: string): Error {
  const before = [...section].slice(0, Number(error.position ?? 0)).join('');
  const line = from + before.split('\n').length - 1;
  return new Error(`${basename(file)}:${line}: ${error.message}`, { cause: error });
}
