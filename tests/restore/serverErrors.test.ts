/** What a server says is shown whole; what it may repeat of a secret is not; a lost connection is called that. */
import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { test } from 'node:test';
import { PostgresError } from '../../src/postgres/postgresError.ts';
import { Session } from '../../src/postgres/session.ts';
import { resolveSettings } from '../../src/postgres/settings/settings.ts';
import { makeSite } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const openSession = async (url: string) => Session.open(await resolveSettings({ url }, {}, homedir()));

test("a server's error has all its fields, asked in either way", async t => {
  const { url } = await freshDatabase(await server(15));
  const session = await openSession(url);
  t.after(() => session.close());
  await session.run('create table public.t (a int constraint positive check (a > 0))');
  const says = (error: unknown) => {
    assert.ok(error instanceof PostgresError);
    const { message, hint, code } = error.explained({
      what: 'a row',
      remedy: 'do this',
      otherwise: 'or that',
    });
    assert.equal(code, 'SERVER_ERROR');
    assert.match(
      message,
      /^a row: new row for relation "t" violates check constraint "positive" \(SQLSTATE 23514\)$/,
    );
    assert.deepEqual(hint.split('\n'), [
      'do this',
      'DETAIL: Failing row contains (-1).',
      'OBJECT: table public.t, constraint positive',
      'or that',
    ]);
    return true;
  };
  await assert.rejects(session.run('insert into public.t values (-1)'), says);
  await assert.rejects(session.query('insert into public.t values ($1)', [-1]), says);
  await assert.rejects(session.query('select nothing'), { position: '8' });
});

test('what a server says of a statement that may hold a secret is withheld, but for names', async t => {
  const { url, name } = await freshDatabase(await server(15));
  const session = await openSession(url);
  t.after(() => session.close());
  const explained = async (sql: string) => {
    const error = await session.run(sql).then(
      () => assert.fail(sql),
      caught => caught,
    );
    assert.ok(error instanceof PostgresError);
    const { message, hint, cause } = error.explained({ secret: true });
    const text = `${message} ${hint} ${error.said({ secret: true })} ${String((cause as Error)?.stack)}`;
    assert.doesNotMatch(text, /hunter2/);
    return text;
  };
  await session.run('create extension postgres_fdw schema public');
  assert.match(
    await explained(`alter database ${name} set work_mem = 'hunter2'`),
    /refused it \(SQLSTATE 22023\)/,
  );
  assert.match(await explained("create subscription s connection 'hunter2' publication p"), /server's log/);
  assert.match(
    await explained("create server s foreign data wrapper postgres_fdw options (fetch_size 'hunter2')"),
    /22023/,
  );
  assert.match(await explained(`alter database ${name} set hunter = 'hunter2'`), /parameter "hunter"/);
});

test('a session that is gone is a lost connection, with what the server said', async () => {
  const { url } = await freshDatabase(await server(15));
  for (const use of ['query', 'run'] as const) {
    const cut = await openSession(url);
    cut.destroy();
    await assert.rejects(cut[use]('select 1'), { code: 'CONNECTION_LOST', name: 'TidemarkError' });
    const ended = await openSession(url);
    const [row] = await ended.query('select pg_catalog.pg_backend_pid() as pid');
    await query(url, 'select pg_terminate_backend($1)', [row!.pid]);
    await new Promise(resolve => setTimeout(resolve, 200));
    await assert.rejects(ended[use]('select 1'), {
      code: 'CONNECTION_LOST',
      message: /terminating connection due to administrator command \(SQLSTATE 57P01\)/,
    });
  }
});

/** Ends the session that runs it, or others of the restore, in any database but the one that it was made in. */
const KILLER = `
  create function killer(a int) returns int immutable language plpgsql as $$ begin
    if pg_catalog.current_database() <> '%NAME%' then
      perform pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
      where application_name like 'tidemark%' and (pid = pg_catalog.pg_backend_pid()) = %SELF%;
      perform pg_catalog.pg_sleep(0.1);
    end if;
    return a; end $$;`;

const PHASES: Record<string, string> = {
  rows: 'create table t (a int check (killer(a) = a)); insert into t values (1)',
  indexes: 'create table t (a int); insert into t values (1); create index on t (killer(a))',
  refreshing: 'create table t (a int); create materialized view m as select killer(1) as a',
};

for (const [phase, sql] of Object.entries(PHASES)) {
  for (const self of [true, false]) {
    test(`${self ? 'the session' : 'another session'} of a restore is ended: ${phase}`, async t => {
      const shared = await server(15);
      const { url, name } = await freshDatabase(shared);
      await query(url, KILLER.replace('%NAME%', name).replace('%SELF%', String(self)) + sql);
      const site = await makeSite({ db: url });
      t.after(() => site.remove());
      await site.json('backup', 'db');
      const targets = [['--new', `${name}_new`]];
      if (phase !== 'refreshing' && self) {
        const target = await freshDatabase(shared);
        targets.push(['--to', target.url, '--table', 'public.t', '--yes']);
      }
      for (const target of targets) {
        const ran = await site.run('restore', 'db', ...target);
        // A session that is not needed any more is not missed.
        if (!self && ran.code === 0) continue;
        assert.equal(ran.code, 1, ran.stdout + ran.stderr);
        assert.match(ran.stderr, /57P01|connection to the server was lost/);
        assert.doesNotMatch(ran.stderr, /INTERNAL|defect|takes the owner|roles/);
      }
      if (!self) return;
      const left = await query(shared.url(), 'select datname from pg_database where datname like $1', [
        `${name}\\_%`,
      ]);
      assert.deepEqual(left, []);
    });
  }
}

test('what a function raises in a restore is shown whole', async t => {
  const { url, name } = await freshDatabase(await server(15));
  await query(
    url,
    `create function picky(a int) returns bool language plpgsql as $$ begin
       if current_database() <> '${name}' then raise 'not here' using detail = 'the detail', hint = 'the hint', errcode = 'ZZ123'; end if;
       return true; end $$;
     create table t (a int check (picky(a))); insert into t values (1)`,
  );
  const site = await makeSite({ db: url });
  t.after(() => site.remove());
  await site.json('backup', 'db');
  const ran = await site.run('restore', 'db', '--new', `${name}_new`);
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /TABLE DATA public\.t: not here \(SQLSTATE ZZ123\)/);
  for (const line of [
    /DETAIL: the detail/,
    /HINT: the hint/,
    /CONTEXT: PL\/pgSQL function public\.picky\(integer\) line 2 at RAISE/,
    /tidemark export/,
  ])
    assert.match(ran.stderr, line);
});

test('secrets of settings, subscriptions, servers and user mappings are never printed', async t => {
  const shared = await server(15);
  const { url, name } = await freshDatabase(shared);
  await query(
    url,
    `create extension postgres_fdw;
     create server far foreign data wrapper postgres_fdw options (host 'far.example', port '5433');
     create user mapping for postgres server far options (user 'u', password 'hunter2-mapping');
     create table t (a int);
     create publication p for table t;
     create subscription s connection 'host=/nowhere password=hunter2-subscription dbname=x' publication p with (connect = false);
     alter database ${name} set app.jwt_secret = 'hunter2-setting';
     alter database ${name} set "plpgsql.extra_errors" = 'none'`,
  );
  const site = await makeSite({ db: url, seen: url.replace('postgres@', `${name}_low@`) });
  t.after(() => site.remove());
  const outputs: string[] = [];
  const run = async (...args: string[]) => {
    const ran = await site.run(...args);
    outputs.push(ran.stdout, ran.stderr);
    return ran;
  };
  assert.equal((await run('backup', 'db')).code, 0);
  // A role that may do little: the server refuses settings, servers and subscriptions one after another.
  await query(shared.url(), `create role ${name}_low login createdb`);
  await query(shared.url(), `create database ${name}_low owner ${name}_low`);
  const low = shared.url(`${name}_low`).replace('postgres@', `${name}_low@`);
  for (const args of [
    ['restore', 'db', '--to', low, '--no-owner'],
    ['restore', 'db', '--to', low, '--no-owner', '--no-privileges', '--schema-only'],
    ['restore', 'db', '--new', `${name}_2`],
    ['restore', 'db', '--new', `${name}_3`, '--json'],
    ['show', 'db'],
    ['verify'],
    ['check', '--online'],
  ])
    await run(...args);
  // What it can't see is not stored, and that is said.
  await query(shared.url(), `grant pg_read_all_data to ${name}_low`);
  const unseen = await run('backup', 'seen');
  assert.match(unseen.stderr, /USER MAPPING postgres SERVER far is stored without its options/);
  assert.match(unseen.stderr, /subscriptions not dumped/);
  for (const output of outputs) assert.doesNotMatch(output, /hunter2/);
  await query(url, 'alter subscription s set (slot_name = none)');
});
