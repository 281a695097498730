/** Definitions whose functions read other tables: the order of rows decides whether they can be loaded at all. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { makeSite } from '../support/cli.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { difference, fingerprint } from '../support/fingerprint.ts';
import { type Major, server } from '../support/servers.ts';

const COUNTRIES = `
  create table %COUNTRIES% (code text primary key, name text);
  insert into %COUNTRIES% select 'C' || g, 'country ' || g from generate_series(1, 300) g;`;
const OK = `create function country_ok(c text) returns boolean language sql stable as $$ select exists (select 1 from public.%COUNTRIES% where code = c) $$;
  create function must_exist(c text) returns boolean language plpgsql as $$ begin perform 1 from public.%COUNTRIES% where code = c; if not found then raise exception 'no country %', c; end if; return true; end $$;`;
const PEOPLE = "select g, 'C' || 1 + g % 300 from generate_series(1, 20000) g";

/** Each named so that neither the order of names nor of sizes is right. */
const SCHEMAS: Record<string, string> = {
  'a check of its own': `${COUNTRIES}${OK}
    create table people (id int primary key, country text check (public.country_ok(country)));
    insert into people ${PEOPLE}`,
  'a function that calls another, and raises': `${COUNTRIES}${OK}
    create function wrapped(c text) returns boolean language sql as $$ select public.must_exist(c) $$;
    create table people (id int primary key, country text, constraint "the check" check (case when id > 0 then public.wrapped(country) else true end));
    insert into people ${PEOPLE}`,
  'a domain': `${COUNTRIES}${OK}
    create domain country as text check (public.country_ok(value));
    create type pair as (c country, n int);
    create table people (id int primary key, country country);
    create table lists (id int primary key, countries pair[]);
    insert into people ${PEOPLE};
    insert into lists select id, array[row(country, 1)::pair] from people`,
  'a generated column, whose value would be another one': `${COUNTRIES}
    create function name_of(c text) returns text language sql immutable as $$ select name from public.%COUNTRIES% where code = c $$;
    create table people (id int primary key, country text, named text generated always as (public.name_of(country)) stored);
    insert into people ${PEOPLE}`,
  'an operator': `${COUNTRIES}${OK}
    create function is_country(c text, wanted boolean) returns boolean language sql as $$ select public.country_ok(c) = wanted $$;
    create operator public.=~= (function = public.is_country, leftarg = text, rightarg = boolean);
    create table people (id int primary key, country text, check (country operator(public.=~=) true));
    insert into people ${PEOPLE}`,
  'a child and partitions': `${COUNTRIES}${OK}
    create table people (id int, country text check (public.country_ok(country)));
    create table citizens () inherits (people);
    insert into citizens ${PEOPLE};
    create table parted (id int, country text check (public.country_ok(country))) partition by range (id);
    create table parted_1 partition of parted for values from (0) to (10000);
    create table parted_2 partition of parted default;
    insert into parted ${PEOPLE}`,
  'readers that read each other, against the order of names': `${COUNTRIES}${OK}
    set check_function_bodies = off;
    create function has_b(i int) returns boolean language sql as $$ select i < 0 or exists (select 1 from public.b_second where id = i) $$;
    create function has_c(i int) returns boolean language sql as $$ select i < 0 or exists (select 1 from public.c_third where id = i) $$;
    create table c_third (id int primary key, country text check (public.country_ok(country)));
    create table b_second (id int primary key, check (public.has_c(id)));
    create table a_first (id int primary key, check (public.has_b(id)));
    insert into c_third ${PEOPLE}; insert into b_second select id from c_third; insert into a_first select id from c_third`,
  'names that only the running function knows': `${COUNTRIES}
    create function exists_in(t text, c text) returns boolean language plpgsql as $$ declare found boolean; begin execute 'select exists (select 1 from public.' || quote_ident('z_' || t) || ' where code = $1)' into found using c; return found; end $$;
    create table z_a (code text primary key, check (public.exists_in('b', code)));
    create table z_b (code text primary key, check (public.exists_in('c', code)));
    create table z_c (code text primary key, check (length(code) < 9));
    insert into z_c select code from %COUNTRIES%; insert into z_b select code from z_c; insert into z_a select code from z_b`,
  'an index': `${COUNTRIES}
    create function name_of(c text) returns text language plpgsql immutable as $$ begin return (select name from public.%COUNTRIES% where code = c); end $$;
    create table people (id int primary key, country text);
    insert into people ${PEOPLE};
    create unique index on people ((public.name_of(country) || id));
    create index partly on people (id) where public.name_of(country) is not null`,
  // By way of grants and policies, which come after the indexes; and no error ends such a database's sessions.
  'an index and a view of an owner who may not read all': `${COUNTRIES}
    do $$ begin create role reader8; exception when duplicate_object then null; end $$;
    create schema kept; grant usage on schema kept to reader8; grant usage, create on schema public to reader8;
    create function kept.plain(c text) returns text language sql immutable as $$ select lower(c) $$;
    create function kept.name_of(c text) returns text language sql immutable as $$ select name from public.%COUNTRIES% where kept.plain(code) = kept.plain(c) $$;
    grant select on %COUNTRIES% to reader8; alter table %COUNTRIES% enable row level security;
    create policy own on %COUNTRIES% to reader8 using (code < 'C2');
    create table people (id int primary key, country text, exclude (kept.name_of(country) with =)); insert into people values (1, 'C1'), (2, 'C3');
    alter table people owner to reader8; set role reader8;
    create index on people (kept.name_of(country));
    create materialized view theirs as select p.id, c.name from people p join %COUNTRIES% c on c.code = p.country;
    reset role;
    do $$ begin execute format('alter database %I set exit_on_error = on', current_database()); end $$`,
  'a check that was not valid, and triggers that always fire': `${COUNTRIES}${OK}
    create table people (id int primary key, country text);
    insert into people ${PEOPLE}; insert into people values (0, 'nowhere');
    alter table people add constraint later check (public.country_ok(country)) not valid;
    create function fire() returns trigger language plpgsql as $$ begin raise exception 'fired'; end $$;
    create trigger always before insert on people for each row execute function fire();
    alter table people enable always trigger always`,
};

async function restored(t: TestContext, major: Major, sql: string): Promise<void> {
  const on = await server(major);
  const from = await freshDatabase(on);
  await query(from.url, sql);
  const site = await makeSite({ shop: from.url });
  t.after(() => site.remove());
  await site.json('backup', 'shop');
  for (const jobs of ['1', '3']) {
    const name = `${from.name}_${jobs}`;
    const { notes } = await site.json<{ notes: string[] }>('restore', 'shop', '--new', name, '--jobs', jobs);
    assert.deepEqual(notes, []);
    assert.equal(difference(await fingerprint(from.url), await fingerprint(on.url(name))), '');
  }
}

for (const [what, sql] of Object.entries(SCHEMAS)) {
  for (const countries of ['countries', 'Zones']) {
    test(`${what}, reading ${countries}`, async t => {
      await restored(
        t,
        countries === 'Zones' ? 18 : 15,
        sql.replaceAll('%COUNTRIES%', countries).replaceAll('Zones', '"Zones"'),
      );
    });
  }
}

test('checks that read each other have no order: it says what can be done', async t => {
  const on = await server(15);
  const from = await freshDatabase(on);
  await query(
    from.url,
    `create table a (id int); create table b (id int);
     create function in_a(i int) returns boolean language sql as $$ select exists (select 1 from public.a where id = i) $$;
     create function in_b(i int) returns boolean language sql as $$ select exists (select 1 from public.b where id = i) $$;
     insert into a values (1); insert into b values (1);
     alter table a add check (public.in_b(id)); alter table b add check (public.in_a(id))`,
  );
  const site = await makeSite({ shop: from.url });
  t.after(() => site.remove());
  await site.json('backup', 'shop');
  const ran = await site.run('restore', 'shop', '--new', `${from.name}_never`);
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /TABLE DATA public\.[ab]: .*violates check constraint/);
  assert.match(ran.stderr, /no order of loading was found.*tidemark export \S+ --format plain/s);
});
