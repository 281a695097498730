/**
 * Makes a golden repository, tests/compat/<name>/, which every later build must read: run once for a form of the format, and
 * never again for the same name. node tests/compat/make.ts NAME
 */
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atExit } from '../../src/base/disposal.ts';
import { makeSite } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';
import { type Expected, fingerprintOf } from './expected.ts';

const SCHEMA = `
  create schema "Odd ""name""";
  create type mood as enum ('calm', 'storm');
  create table people (id int primary key, name text, born date, mood mood, notes jsonb);
  create table "Odd ""name""".large (id bigint generated always as identity primary key, person int references people, bytes bytea);
  create view elders as select * from people where born < '1950-01-01';
  insert into people select i, E'N\\\\\\t\\n\\u00e4' || i, date '1900-01-01' + i * 40, (array['calm','storm'])[1 + i % 2]::mood,
    jsonb_build_object('i', i, 'text', repeat(md5(i::text), i % 5)) from generate_series(1, 1500) i;
  insert into "Odd ""name""".large (person, bytes) select 1 + i % 1500, decode(repeat(md5(i::text), 40), 'hex') from generate_series(1, 900) i;
  select lo_from_bytea(424242, 'a large object');
`;

const CHANGES = `
  update people set name = 'changed' where id % 50 = 7;
  insert into people values (9001, null, null, null, null);
  delete from "Odd ""name""".large where id % 100 = 3;
`;

const name = process.argv[2];
const folder = join(import.meta.dirname, name ?? '');
if (!name || existsSync(folder)) {
  console.error('give a name that is not there yet');
  process.exit(2);
}
const database = await freshDatabase(await server(15));
const site = await makeSite({ db: database.url });
atExit(() => rmSync(site.folder, { recursive: true, force: true }));
const snapshots: Expected['snapshots'] = [];
for (const sql of [SCHEMA, CHANGES]) {
  await query(database.url, sql);
  const { snapshot } = await site.json<{ snapshot: string }>('backup', 'db');
  snapshots.push({ snapshot, tables: await fingerprintOf(database.url) });
}
const { snapshot: forgotten } = await site.json<{ snapshot: string }>('backup', 'db');
await site.json('forget', forgotten, '--yes');
await site.json('hold', snapshots[0]!.snapshot, '--reason', 'a golden repository');
mkdirSync(folder, { recursive: true });
cpSync(join(site.folder, 'repository'), join(folder, 'repository'), { recursive: true });
rmSync(join(folder, 'repository/.unfinished'), { recursive: true, force: true });
cpSync(join(site.folder, 'tidemark.key'), join(folder, 'tidemark.key'));
const expected: Expected = { madeWith: 'format 1', forgotten, snapshots };
writeFileSync(join(folder, 'expected.json'), `${JSON.stringify(expected, null, 2)}\n`);
await database.drop();
process.exit(0);
