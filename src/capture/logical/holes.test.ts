/** Definitions that pg_dump reads under a snapshot while what they name is dropped. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshDatabase, query } from '../../../tests/support/databases.ts';
import { server } from '../../../tests/support/servers.ts';
import { readArchiveHead } from '../../postgres/pgDump/archiveHead.ts';
import { Session } from '../../postgres/session.ts';
import { resolveSettings } from '../../postgres/settings/settings.ts';
import { holesOf } from './holes.ts';

test('a definition with a hole is found, and nothing that only looks like one', async t => {
  const database = await freshDatabase(await server(15));
  t.after(() => database.drop());
  await query(
    database.url,
    `create type mood as enum ('a'); create domain d as mood; create procedure p(x mood) language sql as 'select 1';
     create function f(mood) returns mood language sql as 'select $1';
     create function "g(???)"(a text default ' ??? ', b text default E'\\n???\\n') returns text language sql as $$ select ' ???, ' -- RETURNS
       $$;
     create function eq(int, int) returns bool language sql as 'select true';
     create function touch() returns trigger language plpgsql as 'begin end';
     create table t (a int);
     create trigger tr before insert on t for each row execute function touch();
     create operator ??? (leftarg = int, rightarg = int, procedure = eq);
     create view v as select 1 ??? 2 as " ??? ", ' ??? ' as b;
     create function atomic() returns bool begin atomic select 1 ??? 2; end`,
  );
  const session = await Session.open(await resolveSettings({ url: database.url }, {}, '/nonexistent'));
  t.after(() => session.close());
  await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1');
  assert.deepEqual(holesOf((await readArchiveHead({ session, args: [] })).archive), []);
  await query(database.url, 'drop type mood cascade; drop function touch cascade');
  assert.deepEqual(holesOf((await readArchiveHead({ session, args: [] })).archive).sort(), [
    'DOMAIN public.d',
    'FUNCTION public.f(???)',
    'FUNCTION public.touch()',
    'PROCEDURE public.p(???)',
    'TRIGGER public.t tr',
  ]);
});
