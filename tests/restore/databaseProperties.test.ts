/** The database itself, as `pg_restore --create` brings it back: before its objects and rows, and they under it. */
import assert from 'node:assert/strict';
import { chownSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, type TestContext, test } from 'node:test';
import type { Server } from '../../src/postgres/server/throwaway.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { bringLocales, localesLack } from '../support/locales.ts';
import { type Major, server } from '../support/servers.ts';

const MAJORS: Major[] = [15, 18];

interface Source {
  name: string;
  url: string;
  site: Site;
  fresh(...options: string[]): Promise<string>;
  inPlace(...options: string[]): Promise<string>;
  /** Into an empty database, for which statements are run first. */
  to(statements?: string, ...options: string[]): Promise<string>;
  notes: string[];
}

/** A database with what the statements make (`%NAME%` is its name), backed up. */
async function source(t: TestContext, on: Server, sql: string[], user?: string): Promise<Source> {
  const { name, url } = await freshDatabase(on);
  for (const each of sql) await query(url, each.replaceAll('%NAME%', name));
  const as = (database: string) => {
    const address = new URL(on.url(database));
    if (user) address.username = user;
    return address.href;
  };
  const site = await makeSite({ shop: as(name) });
  t.after(() => site.remove());
  await site.json('backup', 'shop');
  const notes: string[] = [];
  const restore = async (...args: string[]) => {
    const result = await site.json<{ notes: string[] }>('restore', 'shop', ...args, '--yes');
    notes.splice(0, notes.length, ...result.notes);
  };
  let count = 0;
  return {
    ...{ name, url, site, notes },
    async fresh(...options) {
      const other = `${name}_new${++count}`;
      await restore('--new', other, ...options);
      return on.url(other);
    },
    async inPlace(...options) {
      await restore('--in-place', ...options);
      return url;
    },
    async to(statements, ...options) {
      const target = await freshDatabase(on);
      if (user) await query(target.url, `alter database ${target.name} owner to ${user}`);
      if (statements) await query(target.url, statements.replaceAll('%NAME%', target.name));
      await restore('--to', as(target.name), ...options);
      return target.url;
    },
  };
}

async function column(url: string, sql: string): Promise<string[]> {
  const rows = await query<Record<string, unknown>>(url, sql);
  return rows.map(row => String(Object.values(row)[0]));
}

for (const major of MAJORS) {
  describe(`PostgreSQL ${major}`, () => {
    let own: Server;
    let fast: string;
    before(async () => {
      if (!localesLack) bringLocales('de_DE', 'en_IE', 'ja_JP');
      own = await server(major, { configuration: { jit: 'off', work_mem: '5MB' } });
      await query(
        own.url(),
        `create role app4 login; create role reader4 login; create role other4; create role maker4 login createdb;
         grant app4 to maker4`,
      );
      fast = join(own.dataDir, '..', 'fast5');
      mkdirSync(fast);
      const { uid, gid } = statSync(own.dataDir);
      if (process.getuid?.() === 0) chownSync(fast, uid, gid);
      await query(own.url(), `create tablespace fast5 location '${fast}'`);
    });

    test('money is what it was, whatever lc_monetary the server has', { skip: localesLack }, async t => {
      const shop = await source(t, own, [
        `alter database %NAME% set lc_monetary = 'de_DE.UTF-8'`,
        `create table prices (id int primary key, price money default '9,99', doubled money generated always as (price * 2) stored);
         insert into prices select g, (10.25 + g)::numeric::money from generate_series(1, 24) g;
         create materialized view texts as select price::text as t from prices;
         create view dear as select * from prices where price > '12,25'::money`,
      ]);
      const amounts =
        "select price::numeric from prices union all select doubled::numeric from prices union all select count(*) from dear union all select count(*) from texts where t like '%,25 €'";
      const expected = await column(shop.url, amounts);
      assert.equal(expected[0], '11.25');
      for (const url of [
        await shop.fresh(),
        await shop.inPlace(),
        await shop.to("alter database %NAME% set lc_monetary = 'en_IE.UTF-8'"),
        await shop.to('create schema public2; drop schema public2'),
      ]) {
        assert.deepEqual(await column(url, amounts), expected);
        await query(url, 'insert into prices values (99)');
        assert.deepEqual(await column(url, 'select price::numeric from prices where id = 99'), ['9.99']);
        await query(url, 'delete from prices where id = 99');
      }
      const table = await shop.to(undefined, '--table', 'prices');
      assert.equal((await column(table, 'select price::numeric from prices order by id'))[0], '11.25');
    });

    test("a role's lc_monetary that captured it is that of the load", { skip: localesLack }, async t => {
      await query(
        own.url(),
        "create role yen login superuser; alter role yen set lc_monetary = 'ja_JP.UTF-8'",
      );
      t.after(() => query(own.url(), 'drop role yen'));
      const sql = [
        `alter database %NAME% set lc_monetary = 'de_DE.UTF-8'`,
        `create table prices (price money default '9,99'); insert into prices values ('11,25'), ('-1.234,50');
         create materialized view texts as select price::text as t from prices`,
      ];
      const shop = await source(t, own, sql, 'yen');
      await query(own.url(), 'alter role yen reset all');
      const url = await shop.fresh();
      assert.deepEqual(await column(url, 'select price::numeric from prices order by 1'), [
        '-1234.50',
        '11.25',
      ]);
      assert.deepEqual(
        await column(url, 'select t from texts order by t'),
        await column(shop.url, 'select t from texts order by t'),
      );
      await query(url, 'insert into prices default values');
      assert.deepEqual(await column(url, 'select max(price)::numeric from prices where price < 10::money'), [
        '9.99',
      ]);
    });

    test('settings are in force while views are computed', async t => {
      const shop = await source(t, own, [
        `alter database %NAME% set app.tenant = 'north';
         alter database %NAME% set "TimeZone" = 'Asia/Tokyo';
         alter database %NAME% set "DateStyle" = 'German, DMY';
         alter database %NAME% set "IntervalStyle" = 'sql_standard';
         alter database %NAME% set array_nulls = off;
         alter database %NAME% set bytea_output = 'escape';
         alter database %NAME% set xmlbinary = 'hex';
         alter database %NAME% set extra_float_digits = 0;
         alter database %NAME% set default_transaction_read_only = on;
         alter database %NAME% set statement_timeout = '60s';
         alter database %NAME% set idle_session_timeout = '2s';
         alter database %NAME% set default_text_search_config = 'public.plain'`,
        `begin; set transaction read write;
         create text search configuration public.plain (copy = simple);
         create table sales (id int primary key, tenant text, at timestamptz, took interval, tags text[], bytes bytea, share float8);
         insert into sales select g, case when g % 2 = 0 then 'north' else 'south' end, '2024-03-02 20:00:00+00', '-1 day 02:03:04', array[null, 'NULL', 'x'], '\\x00ff', 0.1::float8 + 0.2 from generate_series(1, 10) g; commit`,
        // A new session: the settings are in force.
        `begin; set transaction read write;
         create materialized view own_sales as select id, at::text as at, at::date as day, took::text as took, bytes::text as bytes, share::text as share,
           (xmlelement(name b, bytes))::text as x, to_tsvector('the rats')::text as v, tags[1] is null as null_tag
           from sales where tenant = current_setting('app.tenant'); commit`,
      ]);
      const rows = async (url: string) =>
        JSON.stringify(
          await query(url, 'select s.*, o.* from sales s left join own_sales o using (id) order by s.id'),
        );
      const expected = await rows(shop.url);
      assert.match(expected, /02\.03\.2024|03\.03\.2024/);
      assert.equal(await rows(await shop.fresh()), expected);
      assert.equal(await rows(await shop.inPlace()), expected);
      const to = await shop.to(
        "alter database %NAME% set app.tenant = 'south'; alter database %NAME% set \"TimeZone\" = 'UTC'",
      );
      assert.equal(await rows(to), expected);
    });

    test('settings of the server that filled the views', async t => {
      await query(own.url(), "alter system set timezone = 'Asia/Tokyo'");
      await query(own.url(), 'select pg_reload_conf(), pg_sleep(0.2)');
      const shop = await source(t, own, [
        "create materialized view days as select '2024-03-02 20:00:00+00'::timestamptz::date::text as day",
      ]);
      await query(own.url(), 'alter system reset timezone');
      await query(own.url(), 'select pg_reload_conf(), pg_sleep(0.2)');
      assert.deepEqual(await column(await shop.fresh(), 'select day from days'), ['2024-03-03']);
    });

    const OWNED = [
      `create table public.items (id int primary key, name text); alter table public.items owner to app4;
       insert into public.items values (1, 'one'), (2, 'two')`,
      `alter database %NAME% owner to app4;
       alter database %NAME% connection limit 50;
       comment on database %NAME% is 'the "shop"; it''s ours';
       alter database %NAME% set work_mem = '7MB';
       alter role app4 in database %NAME% set statement_timeout = '1min';
       grant connect on database %NAME% to reader4;
       revoke temporary on database %NAME% from public`,
    ];
    const PROPERTIES = `select json_build_object('owner', pg_get_userbyid(datdba), 'limit', datconnlimit, 'acl', (select json_agg(a::text order by a::text) from unnest(datacl) a), 'template', datistemplate,
      'comment', shobj_description(oid, 'pg_database'), 'tablespace', (select spcname from pg_tablespace t where t.oid = dattablespace),
      'settings', (select json_agg(s order by s) from (select coalesce(setrole::regrole::text, '-') || unnest(setconfig) s from pg_db_role_setting where setdatabase = d.oid) x))
      from pg_database d where datname = current_database()`;

    test('owner, privileges, limit, comment, settings', async t => {
      const shop = await source(t, own, OWNED);
      const [expected] = await query(shop.url, PROPERTIES);
      for (const url of [await shop.fresh(), await shop.inPlace()]) {
        assert.deepEqual(await query(url, PROPERTIES), [expected]);
        const app = new URL(url);
        app.username = 'app4';
        await query(app.href, 'create table public.more (a int)');
        await query(url, 'drop table public.more');
      }
      const to = await shop.to();
      const [has] = await query<{ json_build_object: Record<string, unknown> }>(to, PROPERTIES);
      assert.equal(has!.json_build_object.owner, 'postgres');
      assert.equal(has!.json_build_object.limit, 50);
      assert.equal(has!.json_build_object.comment, 'the "shop"; it\'s ours');
      assert.match(
        shop.notes.join('\n'),
        /still belongs to postgres, not to app4.*ALTER DATABASE .* OWNER TO "app4"/,
      );
    });

    test('a template database with a limit that keeps everybody out', async t => {
      const shop = await source(t, own, [
        'create table t (a int); insert into t values (1)',
        'alter database %NAME% connection limit 0',
        'alter database %NAME% is_template true',
      ]);
      const [expected] = await query(shop.url, PROPERTIES);
      const url = await shop.fresh();
      assert.deepEqual(await query(url, PROPERTIES), [expected]);
      for (const each of [shop.url, url])
        await query(own.url(), `alter database ${new URL(each).pathname.slice(1)} is_template false`);
    });

    test('tablespace of the database: kept, refused where it is missing, or left out when told', async t => {
      await query(own.url(), 'create database c05 tablespace fast5');
      await query(
        own.url('c05'),
        'create table t (id int primary key); insert into t values (1); create table u (a int) tablespace pg_default',
      );
      const site = await makeSite({ shop: own.url('c05') });
      t.after(() => site.remove());
      await site.json('backup', 'shop');
      await site.json('restore', 'shop', '--new', 'c05_new');
      const where =
        'select spcname from pg_database d join pg_tablespace t on t.oid = dattablespace where datname = current_database()';
      assert.deepEqual(await column(own.url('c05_new'), where), ['fast5']);
      await site.json('restore', 'shop', '--in-place', '--yes');
      assert.deepEqual(await column(own.url('c05'), where), ['fast5']);
      const { notes } = await site.json<{ notes: string[] }>(
        'restore',
        'shop',
        '--new',
        'c05_default',
        '--no-tablespaces',
      );
      assert.deepEqual(await column(own.url('c05_default'), where), ['pg_default']);
      assert.match(notes.join('\n'), /fast5/);
      const denied = new URL(own.url('c05'));
      denied.username = 'maker4';
      for (const name of ['c05', 'c05_new']) await query(own.url(), `drop database ${name} with (force)`);
      await query(own.url(), 'drop tablespace fast5');
      const missing = await site.run('restore', 'shop', '--new', 'c05_never');
      assert.equal(missing.code, 2);
      assert.match(missing.stderr, /TABLESPACES_MISSING.*fast5/s);
      assert.match(missing.stderr, /--no-tablespaces/);
      await query(own.url(), `create tablespace fast5 location '${fast}'`);
    });

    test('the locale of the database, with its provider and rules', async t => {
      const clauses =
        major >= 17
          ? [
              "locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'",
              "locale_provider icu icu_locale 'de' icu_rules '&a < g' locale 'C'",
            ]
          : [
              "locale_provider icu icu_locale 'de-u-kn-true' locale 'C'",
              "lc_collate 'C' lc_ctype 'C.UTF-8'",
              "encoding 'LATIN1' locale 'C'",
            ];
      const facts =
        "select json_build_object('e', encoding, 'c', datcollate, 't', datctype, 'p', datlocprovider, 'l', coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'), 'r', to_jsonb(d)->>'daticurules') from pg_database d where datname = current_database()";
      for (const [index, clause] of clauses.entries()) {
        const name = `local${index}`;
        await query(own.url(), `create database ${name} template template0 ${clause}`);
        await query(
          own.url(name),
          "create table t (a text); insert into t values ('g'), ('a'), ('b'); create view v as select string_agg(a, '' order by a) from t",
        );
        const site = await makeSite({ shop: own.url(name) });
        t.after(() => site.remove());
        await site.json('backup', 'shop');
        await site.json('restore', 'shop', '--new', `${name}_new`);
        assert.deepEqual(await query(own.url(`${name}_new`), facts), await query(own.url(name), facts));
        assert.deepEqual(
          await query(own.url(`${name}_new`), 'select * from v'),
          await query(own.url(name), 'select * from v'),
        );
        const target = await freshDatabase(own);
        const { notes } = await site.json<{ notes: string[] }>('restore', 'shop', '--to', target.url);
        assert.match(notes.join('\n'), /keeps its (locale|encoding)/);
      }
    });

    test('an owner who is another role, privileges that are taken from everyone', async t => {
      const shop = await source(
        t,
        own,
        [
          'create table t (a int); insert into t values (1); alter table t owner to app4; create materialized view v as select * from t; alter materialized view v owner to app4',
          `alter database %NAME% owner to app4; revoke all on database %NAME% from public; grant connect on database %NAME% to maker4, reader4 with grant option;
           set session authorization reader4; grant connect on database %NAME% to other4; reset session authorization`,
        ],
        'maker4',
      );
      const [expected] = await query(shop.url, PROPERTIES);
      const url = await shop.fresh();
      // Only a superuser can grant in another's name.
      const [has] = await query<{ json_build_object: { acl: string[]; owner: string } }>(url, PROPERTIES);
      assert.equal(has!.json_build_object.owner, 'app4');
      const site = await makeSite({ shop: shop.url });
      t.after(() => site.remove());
      await site.json('backup', 'shop');
      await site.json('restore', 'shop', '--new', `${shop.name}_super`);
      assert.deepEqual(await query(own.url(`${shop.name}_super`), PROPERTIES), [expected]);
      await site.json('restore', 'shop', '--in-place', '--yes');
      assert.deepEqual(await query(shop.url, PROPERTIES), [expected]);
      // Somebody else's database: what belongs to it is left out and said.
      const given = await freshDatabase(own);
      const to = ['restore', 'shop', '--to', given.url.replace('postgres@', 'maker4@')];
      const refused = await site.run(...to);
      assert.match(refused.stderr, /ALTER DATABASE ".*" OWNER TO "app4"/);
      await query(
        given.url,
        'drop materialized view if exists v; drop table if exists t; grant all on schema public to maker4, app4',
      );
      const ran = await site.run(...to);
      assert.equal(ran.code, 0, ran.stderr);
      assert.match(ran.stdout, /note: left out of the database's own: .* ON DATABASE/);
    });

    test('names and values that are not ASCII, in another encoding', async t => {
      const name = `магазин ${major}`;
      await query(own.url(), `create database "${name}" template template0 encoding 'WIN1251' locale 'C'`);
      const url = own.url(name);
      await query(
        url,
        `do $do$ begin
           execute format($$comment on database %I is 'Лавка "№1"; ON DATABASE x'$$, current_database());
           execute format($$alter database %I set app.tenant = 'Север''; DROP'$$, current_database());
           execute format('grant connect on database %I to reader4', current_database());
           execute format('alter role app4 in database %I set search_path = "Схема", public', current_database());
         end $do$`,
      );
      await query(url, "create materialized view v as select current_setting('app.tenant') as t");
      const site = await makeSite({ shop: url });
      t.after(() => site.remove());
      await site.json('backup', 'shop');
      await site.json('restore', 'shop', '--new', `${name} Ё`);
      assert.deepEqual(await query(own.url(`${name} Ё`), PROPERTIES), await query(url, PROPERTIES));
      assert.deepEqual(await column(own.url(`${name} Ё`), 'select t from v'), ["Север'; DROP"]);
      const target = await freshDatabase(own, `Склад ${major}`, { encoding: 'WIN1251', locale: 'C' });
      await site.json('restore', 'shop', '--to', target.url);
      assert.deepEqual(await column(target.url, 'select t from v'), ["Север'; DROP"]);
      assert.deepEqual(
        await column(
          target.url,
          "select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()",
        ),
        ['Лавка "№1"; ON DATABASE x'],
      );
    });

    test('a database whose sessions become another role, and go to a tablespace', async t => {
      const shop = await source(t, own, [
        'create table t (a int); insert into t values (1); grant select on t to app4; create materialized view v as select current_user::text as u; grant select on v to app4',
        `alter database %NAME% set role = 'app4'; alter database %NAME% set default_tablespace = 'fast5'`,
      ]);
      const owners =
        "select string_agg(relname || ' ' || pg_get_userbyid(relowner) || ' ' || reltablespace, ',' order by relname) from pg_class where relname in ('t', 'v')";
      assert.deepEqual(await column(await shop.fresh(), owners), ['t postgres 0,v postgres 0']);
    });

    test('money is refused where the server lacks its locale', { skip: localesLack }, async t => {
      const shop = await source(t, own, [
        `alter database %NAME% set lc_monetary = 'de_DE.UTF-8'`,
        "create table prices (price money); insert into prices values ('11,25'); create table plain (a int)",
      ]);
      const path = process.env.LOCPATH;
      delete process.env.LOCPATH;
      const poor = await server(major, { configuration: { work_mem: '6MB' } }).finally(() => {
        process.env.LOCPATH = path;
      });
      const target = await freshDatabase(poor);
      for (const more of [[], ['--table', 'prices']]) {
        const ran = await shop.site.run('restore', 'shop', '--to', target.url, '--yes', ...more);
        assert.equal(ran.code, 2, ran.stdout);
        assert.match(ran.stderr, /LOCALE_MISSING/);
        assert.match(ran.stderr, /de_DE/);
      }
    });

    test('a setting that is refused is named, and its value is not', async t => {
      const shop = await source(t, own, [
        `alter database %NAME% set app.jwt_secret = 'hush-hush-hush'; create role secret4; alter role secret4 set app.role_secret = 'hush-role'`,
        `create table t (a int); alter table t owner to maker4`,
        'alter database %NAME% owner to maker4',
      ]);
      t.after(() => query(own.url(), 'drop role secret4'));
      const site = await makeSite({ shop: shop.url.replace('postgres@', 'maker4@') });
      t.after(() => site.remove());
      await site.json('backup', 'shop');
      const ran = await site.run('restore', 'shop', '--new', `${shop.name}_secret`);
      assert.equal(ran.code, 0, ran.stderr);
      assert.match(ran.stdout + ran.stderr, /setting app\.jwt_secret: this role may not do that/);
      assert.doesNotMatch(ran.stdout + ran.stderr, /hush/);
    });

    test('default privileges that stand in the target do not reach what is restored', async t => {
      const shop = await source(t, own, [
        `create table accounts (id int primary key, secret text); create function f() returns int language sql as 'select 1'; create schema s; create table s.t (a int);
         alter default privileges in schema s grant select on tables to reader4`,
      ]);
      const acl =
        "select relname || coalesce(relacl::text, '-') from pg_class where relname in ('accounts', 't') union all select coalesce(proacl::text, '-') from pg_proc where proname = 'f' union all select coalesce(nspacl::text, '-') from pg_namespace where nspname = 's' order by 1";
      const standing = `alter default privileges grant select on tables to other4; alter default privileges in schema public grant insert on tables to other4;
        alter default privileges revoke execute on functions from public; alter default privileges grant usage on schemas to other4`;
      const expected = await column(shop.url, acl);
      const defaults = 'select count(*) from pg_default_acl';
      for (const url of [await shop.to(standing), await shop.to(standing, '--clean')]) {
        assert.deepEqual(await column(url, acl), expected);
        await query(url, 'select 1');
      }
      const kept = await shop.to(standing);
      assert.deepEqual(await column(kept, defaults), ['5']);
      assert.match(shop.notes.join('\n'), /default privileges that the database had stay/);
    });

    describe('an owner without superuser', () => {
      const as = (url: string) => url.replace('postgres@', 'maker4@');

      test('gets all back that is his, in every way', async t => {
        const shop = await source(
          t,
          own,
          [
            'alter database %NAME% owner to maker4',
            `set role maker4; create extension hstore; create table t (id serial primary key, h hstore); insert into t (h) values ('a=>1'); create materialized view v as select * from t; comment on extension hstore is 'ours'`,
          ],
          'maker4',
        );
        const count =
          "select count(*) || obj_description(e.oid, 'pg_extension') from v, pg_extension e where extname = 'hstore' group by e.oid";
        for (const url of [await shop.fresh(), await shop.inPlace(), await shop.to()]) {
          assert.deepEqual(await column(as(url), count), ['1ours']);
          assert.deepEqual(
            shop.notes.filter(note => /extension/i.test(note)),
            [],
          );
        }
        assert.deepEqual(
          await column(
            shop.url,
            'select pg_get_userbyid(datdba) from pg_database where datname = current_database()',
          ),
          ['maker4'],
        );
      });

      test('is told at once what only a superuser can make', async t => {
        const shop = await source(
          t,
          own,
          [
            'create extension pageinspect; create publication everything for all tables; create function ev() returns event_trigger language plpgsql as $$ begin end $$; create event trigger evt on ddl_command_end execute function ev()',
            'alter database %NAME% owner to maker4; alter function ev() owner to maker4',
            'set role maker4; create table t (a int); insert into t values (1)',
          ],
          'maker4',
        );
        const url = await shop.fresh();
        assert.deepEqual(await column(url, 'select a from t'), ['1']);
        const notes = shop.notes.join('\n');
        assert.match(notes, /EXTENSION pageinspect is left out.*CREATE EXTENSION IF NOT EXISTS pageinspect/);
        assert.match(notes, /PUBLICATION everything is left out.*FOR ALL TABLES/);
        assert.match(notes, /EVENT TRIGGER evt is left out.*CREATE EVENT TRIGGER evt/);
        assert.doesNotMatch(notes, /COMMENT/);
        const to = await shop.to('create extension pageinspect');
        assert.deepEqual(await column(to, "select extname from pg_extension where extname = 'pageinspect'"), [
          'pageinspect',
        ]);
        assert.doesNotMatch(shop.notes.join('\n'), /pageinspect/);
      });

      test("at a provider's, what the role may make comes, and the rest is left out with its statement", async t => {
        const shop = await source(
          t,
          own,
          [
            'create extension pageinspect; create publication everything for all tables; create function ev() returns event_trigger language plpgsql as $$ begin end $$; create event trigger evt on ddl_command_end execute function ev()',
            "comment on event trigger evt is 'x'; alter database %NAME% owner to maker4; alter function ev() owner to maker4",
            'set role maker4; create table t (a int); insert into t values (1); create publication pub for table t',
          ],
          'maker4',
        );
        // A role that only Neon's servers have.
        await query(own.url(), 'create role cloud_admin');
        t.after(() => query(own.url(), 'drop role cloud_admin'));
        for (const restored of [() => shop.fresh(), () => shop.to(undefined, '--no-owner')]) {
          const url = await restored();
          const notes = shop.notes.join('\n');
          assert.deepEqual(await column(url, 'select a from t'), ['1']);
          assert.deepEqual(await column(url, 'select pubname from pg_publication'), ['pub']);
          assert.match(
            notes,
            /EXTENSION pageinspect is left out.*CREATE EXTENSION IF NOT EXISTS pageinspect/,
          );
          assert.match(notes, /PUBLICATION everything is left out.*FOR ALL TABLES/);
          assert.match(notes, /EVENT TRIGGER evt is left out.*CREATE EVENT TRIGGER evt/);
        }
        const planned = await shop.site.run('restore', 'shop', '--in-place');
        assert.match(planned.stderr, /tried, and left out .*: EXTENSION pageinspect/);
        assert.match(planned.stderr, /without EVENT TRIGGER evt: /);
      });

      test('is refused before anything is done where the rest needs such a thing', async t => {
        const shop = await source(
          t,
          own,
          [
            'create extension pageinspect; create view v as select * from page_header(null); alter view v owner to maker4',
            'alter database %NAME% owner to maker4',
          ],
          'maker4',
        );
        const ran = await shop.site.run('restore', 'shop', '--in-place', '--yes');
        assert.equal(ran.code, 2);
        assert.match(
          ran.stderr,
          /EXTENSION pageinspect \[SUPERUSER_NEEDED\].*--to.*CREATE EXTENSION IF NOT EXISTS pageinspect/s,
        );
        assert.doesNotMatch(ran.stderr, /safety snapshot \S+ of the present/);
      });

      test('is refused before anything is done where he can not give things to their owner', async t => {
        const shop = await source(
          t,
          own,
          ['create table t (a int); alter table t owner to other4; grant select on t to maker4'],
          'maker4',
        );
        // Nobody but a superuser gives the database to one.
        const hints = [/superuser.*--no-owner/s, /GRANT "other4" TO "maker4".*--no-owner/s];
        for (const hint of hints) {
          const ran = await shop.site.run('restore', 'shop', '--new', `${shop.name}_never`);
          assert.equal(ran.code, 2);
          assert.match(ran.stderr, /maker4.*other4.*OWNERS_DENIED/s);
          assert.match(ran.stderr, hint);
          assert.equal(/GRANT/.test(ran.stderr), hint === hints[1]);
          await query(shop.url, `alter database ${shop.name} owner to maker4`);
          await shop.site.json('backup', 'shop');
        }
        await shop.site.json('restore', 'shop', '--new', `${shop.name}_mine`, '--no-owner');
      });
    });
  });
}
