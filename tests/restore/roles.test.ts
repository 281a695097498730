/** Roles that a target lacks, as `--roles` makes them: in another cluster of the same version. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Server } from '../../src/postgres/server/throwaway.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { type Major, server } from '../support/servers.ts';

const ROLES = `
  create role "Boss of shop" createrole createdb login connection limit 7 valid until '2031-02-03 04:05:06+00' password 'wine';
  create role team nologin noinherit bypassrls;
  create role reader5 login replication;
  comment on role team is 'all of us';
  alter role reader5 set app.token = 'hush-token';
  alter role reader5 set search_path = a, "B c";
  alter role reader5 set statement_timeout = '5s';
  grant team to "Boss of shop" with admin option;
  grant team to reader5 granted by "Boss of shop";`;

const FACTS = `
  select json_build_object('roles', (select json_agg(r order by rolname) from (
      select rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
        rolvaliduntil, rolpassword, shobj_description(oid, 'pg_authid') as comment,
        (select json_agg(c order by c) from pg_db_role_setting s, unnest(setconfig) c where setrole = a.oid and setdatabase = 0) as settings
      from pg_authid a where rolname in ('Boss of shop', 'team', 'reader5')) r),
    'members', (select json_agg(m order by m::text) from (
      select roleid::regrole::text as role, member::regrole::text as member, grantor::regrole::text as grantor, admin_option
      from pg_auth_members where roleid = 'team'::regrole) m)) as facts`;

async function staged(t: TestContext, major: Major): Promise<{ site: Site; from: Server; to: Server }> {
  const from = await server(major);
  const to = await server(major, { configuration: { work_mem: '6MB' } });
  const database = await freshDatabase(from);
  await query(
    database.url,
    `${ROLES} create table t (a int); alter table t owner to "Boss of shop"; grant select on t to reader5`,
  );
  const site = await makeSite({ shop: database.url });
  t.after(() => site.remove());
  await site.json('backup', 'shop');
  return { site, from, to };
}

for (const major of [15, 18] as Major[]) {
  describe(`PostgreSQL ${major}`, () => {
    test('a superuser gets them whole; another role gets what it may make, and the rest is named', async t => {
      const { site, from, to } = await staged(t, major);
      const target = await freshDatabase(to);
      const { notes } = await site.json<{ notes: string[] }>(
        'restore',
        'shop',
        '--to',
        target.url,
        '--roles',
      );
      assert.deepEqual(await query(to.url(), FACTS), await query(from.url(), FACTS));
      assert.deepEqual(
        notes.filter(note => /refused|granted by/.test(note)),
        [],
      );
      await query(target.url, 'drop owned by "Boss of shop", reader5, team');
      await query(to.url(), 'drop role reader5; drop role "Boss of shop", team');

      await query(to.url(), 'create role clerk login createrole createdb');
      const clerk = new URL(target.url);
      clerk.username = 'clerk';
      await query(to.url(), `alter database ${target.name} owner to clerk`);
      const ran = await site.run('restore', 'shop', '--to', clerk.href, '--roles', '--no-owner');
      assert.equal(ran.code, 0, ran.stderr);
      const said = ran.stdout + ran.stderr;
      assert.match(said, /BYPASSRLS of role team was refused/);
      assert.match(said, /REPLICATION of role reader5 was refused/);
      assert.match(said, /setting app\.token of role reader5 was refused: this role may not do that/);
      assert.doesNotMatch(said, /hush|SCRAM/);
    });
  });
}
