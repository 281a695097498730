/** What a backup carries, and how it fails: always with a reason, never with half a snapshot. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { LocalStorage } from '../../src/storage/local/storage.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { clientTool, type DatabaseOptions, freshDatabase, query } from '../support/databases.ts';
import { difference, fingerprint } from '../support/fingerprint.ts';
import { server } from '../support/servers.ts';

async function site(t: TestContext, url: string): Promise<Site> {
  const made = await makeSite({ db: url });
  t.after(() => made.remove());
  return made;
}

async function fails(site: Site, code: string, ...args: string[]): Promise<string> {
  const ran = await site.run(...args);
  assert.notEqual(ran.code, 0, ran.stdout);
  assert.match(ran.stderr, new RegExp(`\\[${code}\\]`));
  const { snapshots } = await site.json<{ snapshots: unknown[] }>('list');
  assert.deepEqual(snapshots, [], 'no snapshot exists');
  return ran.stderr;
}

/** A role that may log in, on a database of its own. */
async function asRole(url: string, role: string): Promise<string> {
  await query(url, `drop role if exists ${role}`).catch(() => {});
  await query(url, `create role ${role} login`);
  const changed = new URL(url);
  changed.username = role;
  return changed.href.replace('postgres@', `${role}@`);
}

test('an empty database', async t => {
  const database = await freshDatabase(await server(15));
  const made = await site(t, database.url);
  const result = await made.json('backup', 'db');
  assert.equal(result.rows, 0);
  await made.json('restore', 'db', '--new', `${database.name}_2`);
});

test('a table that may not be read fails the backup and is named', async t => {
  const database = await freshDatabase(await server(15));
  await query(
    database.url,
    'create table mine (a int); create table "Their\'s" (a int); insert into mine values (1)',
  );
  const url = await asRole(database.url, 'reader');
  await query(database.url, 'grant select on mine to reader');
  const made = await site(t, url);
  const message = await fails(made, 'PRIVILEGE_MISSING', 'backup', 'db');
  assert.match(message, /Their's/);
  assert.match(message, /pg_read_all_data|GRANT/);
  assert.equal((await made.json('backup', 'db', '--exclude-table', '"Their\'s"')).rows, 1);
});

test('more tables than the server has locks for', async t => {
  const database = await freshDatabase(
    await server(15, { configuration: { max_locks_per_transaction: '20', max_connections: '10' } }),
  );
  for (let i = 0; i < 12; i++) {
    await query(
      database.url,
      `do $$ begin for k in 1..150 loop execute format('create table t_%s_%s (a int)', ${i}, k); end loop; end $$`,
    );
  }
  const app = new pg.Client({ connectionString: database.url });
  await app.connect();
  const locks = Array.from({ length: 20 }, (_, i) => `lock table t_9_${i + 1}`).join(';');
  const errors: unknown[] = [];
  let ended = false;
  const running = (async () => {
    for (; !ended; await delay(2))
      await app.query(`begin; ${locks}; commit`).catch(each => errors.push(each));
  })();
  t.after(() => {
    ended = true;
    return running.then(() => app.end());
  });
  const made = await site(t, database.url);
  const message = await fails(made, 'LOCKS_EXHAUSTED', 'backup', 'db');
  assert.match(message, /locks 1800 tables and .* room for about 640 locks/);
  assert.match(message, /max_locks_per_transaction to \d\d or more \(it is 20\)/);
  const left = ['t_[2-9]_*', 't_1[01]_*', 't_1_1*'].flatMap(pattern => ['--exclude-table', pattern]);
  assert.equal((await made.json('backup', 'db', ...left)).tables, 238);
  assert.deepEqual(errors, [], 'the application got its locks all the time');
});

test('rows that a policy would hide fail the backup', async t => {
  const database = await freshDatabase(await server(15));
  await query(
    database.url,
    'create table t (a int); insert into t values (1), (2); alter table t enable row level security; create policy p on t using (a = 1)',
  );
  const url = await asRole(database.url, 'seer');
  await query(database.url, 'grant select on t to seer');
  const message = await fails(await site(t, url), 'ROWS_HIDDEN', 'backup', 'db');
  assert.match(message, /public\.t/);
  assert.match(message, /BYPASSRLS/);
});

test('a connection that is cut in the middle', async t => {
  const database = await freshDatabase(await server(15));
  await query(
    database.url,
    'create table big as select i, repeat(md5(i::text), 60) as t from generate_series(1, 60000) i',
  );
  const made = await site(t, database.url);
  const running = made.run('backup', 'db');
  const cut = async () => {
    for (let i = 0; i < 400; i++) {
      const rows = await query(
        database.url,
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tidemark backup' and query like 'COPY%' and datname = current_database()",
      );
      if (rows.length > 0) return;
      await delay(5);
    }
  };
  const [ran] = await Promise.all([running, cut()]);
  assert.equal(ran.code, 1, ran.stderr);
  assert.match(ran.stderr, /\[SNAPSHOT_LOST\]/);
  assert.deepEqual((await made.json('list')).snapshots, []);
  await made.json('backup', 'db');
  assert.equal((await made.json('verify', '--all')).ok, true);
});

test('Ctrl-C ends it cleanly', async t => {
  const database = await freshDatabase(await server(15));
  await query(
    database.url,
    'create table big as select i, repeat(md5(i::text), 60) as t from generate_series(1, 60000) i',
  );
  const made = await site(t, database.url);
  const child = spawn(join(import.meta.dirname, '../../bin/tidemark'), ['backup', 'db'], {
    cwd: made.folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', chunk => {
    stderr += chunk;
  });
  for (let i = 0; i < 400; i++) {
    const rows = await query(
      database.url,
      "select 1 from pg_stat_activity where application_name = 'tidemark backup' and datname = current_database()",
    );
    if (rows.length > 0) break;
    await delay(5);
  }
  child.kill('SIGINT');
  const [code] = await once(child, 'close');
  assert.equal(code, 130, stderr);
  assert.match(stderr, /interrupted/);
  assert.deepEqual((await made.json('list')).snapshots, []);
  const leases = new LocalStorage(join(made.folder, 'repository')).list('leases/');
  for await (const { name } of leases) assert.fail(`${name} was left behind`);
});

test('two at once both succeed', async t => {
  const database = await freshDatabase(await server(15));
  await query(database.url, 'create table t as select i from generate_series(1, 1000) i');
  const made = await site(t, database.url);
  await Promise.all([made.json('backup', 'db'), made.json('backup', 'db')]);
  assert.equal((await made.json<{ snapshots: unknown[] }>('list')).snapshots.length, 2);
  assert.equal((await made.json('verify', '--all')).ok, true);
});

test('a key that is not the repository’s, and one that can’t be read', async t => {
  const database = await freshDatabase(await server(15));
  const made = await site(t, database.url);
  await writeFile(join(made.folder, 'tidemark.key'), 'tidemark-key-1:nonsense\n');
  assert.match((await made.run('backup', 'db')).stderr, /\[KEY_MALFORMED\]/);
  await writeFile(join(made.folder, 'tidemark.key'), `tidemark-key-1:${'a'.repeat(52)}:66687aad\n`);
  assert.match((await made.run('backup', 'db')).stderr, /\[KEY_WRONG\]/);
});

const ENCODINGS: [string, DatabaseOptions, string[]][] = [
  [
    'LATIN1',
    { encoding: 'LATIN1', locale: 'C' },
    ['create table "Größe" (a text default \'ß\')', 'insert into "Größe" values (\'äöü\'), (default)'],
  ],
  [
    'EUC_JP',
    { encoding: 'EUC_JP', locale: 'C' },
    ['create table 表 (a text)', "insert into 表 values ('日本語')"],
  ],
  [
    'SQL_ASCII',
    { encoding: 'SQL_ASCII', locale: 'C' },
    [
      'create table t (a text)',
      "do $$ begin execute 'insert into t values (' || quote_literal(convert_from('\\xe4f6fc00ff'::bytea - 0, 'SQL_ASCII')) || ')'; exception when others then insert into t values (chr(200) || chr(255)); end $$",
    ],
  ],
];

for (const [name, options, statements] of ENCODINGS) {
  test(`a database in ${name}`, async t => {
    const database = await freshDatabase(await server(15), undefined, options);
    for (const statement of statements) await query(database.url, statement);
    const made = await site(t, database.url);
    await made.json('backup', 'db');
    const restored = `${database.name}_2`;
    await made.json('restore', 'db', '--new', restored);
    const dump = async (of: string) => {
      return JSON.stringify(
        await query(
          of,
          "select relname, octet_length(relname::text) as l, query_to_xml(format('select md5(a) as a from %s order by 1', oid::regclass), false, false, '')::text as x from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
        ),
      );
    };
    assert.equal(await dump((await server(15)).url(restored)), await dump(database.url));
  });
}

test('large objects of a database that prefers its bytes escaped load from an export', async t => {
  const database = await freshDatabase(await server(15));
  await query(
    database.url,
    `alter database ${database.name} set bytea_output = 'escape'; select lo_from_bytea(4711, '\\x005c0aff')`,
  );
  const made = await site(t, database.url);
  await made.json('backup', 'db');
  const file = join(made.folder, 'db.dump');
  await made.json('export', 'db', '--format', 'custom', '-o', file);
  const loaded = await freshDatabase(await server(15));
  await clientTool('pg_restore', ['-e', '-d', loaded.url, file]);
  const [object] = await query(loaded.url, "select encode(lo_get(4711), 'hex') as bytes");
  assert.deepEqual(object, { bytes: '005c0aff' });
});

test('only some tables, with what they need; and all but some', async t => {
  const database = await freshDatabase(await server(15));
  await query(
    database.url,
    `create type mood as enum ('ok'); create schema other; create table a (m mood); create table "B" (x int); create table other.a (y int);
    insert into a values ('ok'); insert into "B" values (1), (2); insert into other.a values (1), (2), (3)`,
  );
  const made = await site(t, database.url);
  const part = await made.json<{ rows: number; snapshot: string }>('backup', 'db', '--table', 'a');
  assert.equal(part.rows, 4);
  await made.json('restore', part.snapshot, '--new', `${database.name}_a`);
  assert.equal((await made.json('backup', 'db', '--table', 'public.a', '"B"')).rows, 3);
  assert.equal((await made.json('backup', 'db', '--exclude-table', 'other.*')).rows, 3);
  assert.equal((await made.json('backup', 'db', '--exclude-table', '"B"', 'public.a')).rows, 3);
  assert.equal((await made.json('backup', 'db', '--schema-only')).rows, 0);
  const none = await made.run('backup', 'db', '--table', 'nothing');
  assert.equal(none.code, 2);
  assert.match(none.stderr, /TABLES_UNMATCHED/);
});

test('what did not change is not stored again, whatever was backed up in between', async t => {
  const database = await freshDatabase(await server(15));
  await query(
    database.url,
    'create table a as select i, md5(i::text) as t from generate_series(1, 20000) i; create table b (x int)',
  );
  const made = await site(t, database.url);
  const first = await made.json<{ bytesAdded: number }>('backup', 'db');
  await made.json('backup', 'db', '--table', 'b');
  await made.json('backup', 'db', '--schema-only');
  const again = await made.json<{ bytesAdded: number }>('backup', 'db');
  assert.ok(
    again.bytesAdded < first.bytesAdded / 50,
    `${again.bytesAdded} of ${first.bytesAdded} bytes again`,
  );
});

test('a table cut into many parts comes back whole, also while it is being changed', async t => {
  const database = await freshDatabase(await server(15));
  await query(
    database.url,
    `create table wide (id int primary key, small text, big text);
    alter table wide alter big set storage external;
    insert into wide select i, 'row ' || i, repeat(md5(i::text), 4000) from generate_series(1, 2500) i;
    delete from wide where id % 7 = 0; update wide set small = 'changed' where id % 11 = 0`,
  );
  const made = await site(t, database.url);
  const before = await fingerprint(database.url);
  const running = made.json('backup', 'db');
  await query(database.url, "update wide set small = small || '!'; delete from wide where id % 2 = 0");
  await running;
  const { snapshots } = await made.json<{ snapshots: { snapshot: string }[] }>('list');
  await made.json('restore', snapshots[0]!.snapshot, '--new', `${database.name}_2`, '--jobs', '3');
  const after = await fingerprint((await server(15)).url(`${database.name}_2`));
  const rows = after.find(line => line.startsWith('ROWS OF public.wide'))!;
  assert.match(rows, /: (2143|1071) /, 'either all rows before the change or all after it');
  if (rows.includes(': 2143 ') && before.includes(rows)) assert.equal(difference(before, after), '');
});
