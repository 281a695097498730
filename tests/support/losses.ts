import type { CheckLevel } from '../../src/restore/check/result.ts';

/** A database with what can be lost, and how each thing is. %NAME% is the database's. */
export const CHECKED_OBJECTS = `
  create extension hstore;
  create extension pg_trgm;
  create schema app authorization check_owner;
  create type app.state as enum ('open', 'done');
  create type app.pair as (a int, b text);
  create domain app.email as text check (value ~ '@');
  create table app.people (
    id int generated always as identity primary key,
    email app.email not null unique,
    name varchar(40) collate "C" default 'nobody',
    kind varchar(10) not null default 'a' check (kind in ('a', 'b', 'c')),
    upper_name text generated always as (upper(name)) stored,
    about text);
  create table app.orders (
    id serial primary key,
    person int references app.people on delete cascade,
    state app.state not null default 'open',
    placed timestamptz not null default now(),
    total money default 0,
    unlogged_note text);
  alter table app.orders alter column unlogged_note set storage external;
  alter table app.orders alter column person set statistics 500;
  alter table app.orders set (fillfactor = 70);
  create unlogged table app.sessions (id int primary key, data text);
  create table app.pairs (a int, b int, tag text collate "C");
  create statistics app.pairs_stats (dependencies) on a, b from app.pairs;
  create index orders_open on app.orders (placed) where state = 'open';
  create index people_lower on app.people (lower(name));
  alter table app.people replica identity full;
  create table app.events (at date not null, what text) partition by range (at);
  create table app.events_2025 partition of app.events for values from ('2025-01-01') to ('2026-01-01');
  create table app.events_rest partition of app.events default;
  create table app.parent (a int);
  create table app.child (b int) inherits (app.parent);
  create view app.open_orders as select o.id, p.name from app.orders o join app.people p on p.id = o.person where o.state = 'open';
  create materialized view app.totals as select state, count(*) from app.orders group by state;
  create function app.note() returns trigger language plpgsql as $$ begin return new; end $$;
  create function app.twice(a int default 2) returns int language sql immutable return a * 2;
  create procedure app.nothing() language sql begin atomic end;
  create aggregate app.total(int) (sfunc = int4pl, stype = int4);
  create operator app.=== (leftarg = int, rightarg = int, function = int4eq);
  create trigger note before insert on app.orders for each row execute function app.note();
  create trigger note_rep before update on app.orders for each row execute function app.note();
  alter table app.orders enable always trigger note_rep;
  create rule quiet as on delete to app.pairs do instead nothing;
  alter table app.orders enable row level security;
  create policy own on app.orders for select to check_reader using (person = 1);
  create publication pub for table app.people, app.orders;
  create sequence app.counter start 5 increment 5;
  select setval('app.counter', 50);
  create collation app.german (provider = icu, locale = 'de');
  create text search configuration app.plain (copy = simple);
  create foreign data wrapper nowhere;
  create server far foreign data wrapper nowhere options (host 'far');
  create user mapping for check_owner server far options (password 'hidden secret');
  create function app.event() returns event_trigger language plpgsql as $$ begin end $$;
  create event trigger watch on ddl_command_start execute function app.event();
  insert into app.people (email, name) select i || '@x', 'n' || i from generate_series(1, 20) i;
  insert into app.orders (person, placed, total) select i, '2026-01-01 00:00+00'::timestamptz + i * interval '1 hour', i::numeric::money from generate_series(1, 20) i;
  insert into app.events select date '2025-12-20' + i, 'event' from generate_series(1, 20) i;
  insert into app.pairs select i, i from generate_series(1, 20) i;
  refresh materialized view app.totals;
  select lo_from_bytea(7001, '\\x0102030405');
  comment on large object 7001 is 'bytes';
  grant select on large object 7001 to check_reader;
  alter table app.orders owner to check_owner;
  alter function app.twice owner to check_owner;
  grant usage on schema app to check_reader;
  grant select on app.people to check_reader;
  grant select (email), update (about) on app.people to check_writer;
  grant execute on function app.twice to check_reader with grant option;
  alter default privileges for role check_owner in schema app grant select on tables to check_reader;
  comment on table app.people is 'people';
  comment on column app.people.email is 'where';
  comment on constraint orders_person_fkey on app.orders is 'whose';
  comment on index app.orders_open is 'fast';
  comment on function app.twice is 'two';`;

/** What a copy of a database does not have of it. */
export const CHECKED_PROPERTIES = `
  alter database %NAME% set work_mem = '8MB';
  alter database %NAME% set app.secret = 'hidden secret';
  alter role check_reader in database %NAME% set statement_timeout = '1s';
  comment on database %NAME% is 'checked';
  grant create on database %NAME% to check_writer;
  revoke connect on database %NAME% from public;
  alter database %NAME% connection limit 50;
  alter database %NAME% owner to check_owner;`;

export interface Loss {
  /** What is done to the restored database. */
  sql: string;
  /** The database in which it is done; the restored one unless told. */
  from?: string;
  /** What the report names. */
  object: RegExp;
  kind?: 'missing' | 'added' | 'different';
  /** What its statement, or its owner, is in the report: the snapshot's, or what was added. */
  says?: RegExp;
  level?: CheckLevel;
}

export const LOSSES: Record<string, Loss> = {
  'owner of the database': {
    sql: 'alter database %NAME% owner to postgres',
    object: /^DATABASE owner$/,
    says: /check_owner/,
  },
  'owner of a schema': {
    sql: 'alter schema app owner to postgres',
    object: /^SCHEMA app$/,
    says: /owner check_owner/,
  },
  'owner of a table': {
    sql: 'alter table app.orders owner to postgres',
    object: /^(TABLE app.orders|SEQUENCE app.orders_id_seq)$/,
    says: /check_owner/,
  },
  'owner of a function': {
    sql: 'alter function app.twice owner to postgres',
    object: /^(FUNCTION app.twice|ACL app.FUNCTION twice)/,
  },
  'privilege on the database': {
    sql: 'revoke create on database %NAME% from check_writer',
    object: /^DATABASE privileges$/,
    says: /GRANT CREATE ON DATABASE TO check_writer/,
  },
  'privilege on a schema': {
    sql: 'revoke usage on schema app from check_reader',
    object: /^ACL SCHEMA app$/,
    kind: 'missing',
    says: /GRANT USAGE/,
  },
  'privilege on a table': {
    sql: 'revoke select on app.people from check_reader',
    object: /^ACL app.TABLE people$/,
    says: /GRANT SELECT ON TABLE app.people TO check_reader/,
  },
  'privilege on a column': {
    sql: 'revoke update (about) on app.people from check_writer',
    object: /^ACL app.COLUMN people.about$/,
    kind: 'missing',
    says: /GRANT UPDATE\(about\)/,
  },
  'grant option': {
    sql: 'revoke grant option for execute on function app.twice from check_reader',
    object: /^ACL app.FUNCTION twice/,
    says: /WITH GRANT OPTION/,
  },
  'a privilege too many': {
    sql: 'grant delete on app.events to check_writer',
    object: /^ACL app.TABLE events$/,
    kind: 'added',
    says: /GRANT DELETE/,
  },
  'default privileges': {
    sql: 'alter default privileges for role check_owner in schema app revoke select on tables from check_reader',
    object: /^DEFAULT ACL /,
    kind: 'missing',
  },
  'default privileges too many': {
    sql: 'alter default privileges in schema app grant select on tables to check_writer',
    object: /^DEFAULT ACL /,
    kind: 'added',
  },
  'comment on the database': {
    sql: 'comment on database %NAME% is null',
    object: /^DATABASE comment/,
    kind: 'missing',
    says: /checked/,
  },
  'comment on a table': {
    sql: 'comment on table app.people is null',
    object: /^COMMENT app.TABLE people$/,
    kind: 'missing',
    says: /'people'/,
  },
  'comment on a column': {
    sql: 'comment on column app.people.email is null',
    object: /^COMMENT app.COLUMN people.email$/,
    kind: 'missing',
  },
  'comment on a constraint': {
    sql: 'comment on constraint orders_person_fkey on app.orders is null',
    object: /^COMMENT app.CONSTRAINT orders_person_fkey/,
    kind: 'missing',
    says: /'whose'/,
  },
  'comment that is another': {
    sql: "comment on function app.twice is 'three'",
    object: /^COMMENT app.FUNCTION twice/,
    kind: 'different',
    says: /'two'/,
  },
  'comment on a large object': {
    sql: 'comment on large object 7001 is null',
    object: /^COMMENT LARGE OBJECT 7001$/,
    kind: 'missing',
  },
  'setting of the database': {
    sql: 'alter database %NAME% reset work_mem',
    object: /^DATABASE setting work_mem$/,
    kind: 'missing',
  },
  'setting that is a secret': {
    sql: "alter database %NAME% set app.secret = 'other secret'",
    object: /^DATABASE setting app.secret$/,
    kind: 'different',
    says: /^value not shown$/,
  },
  'setting of a role in the database': {
    sql: 'alter role check_reader in database %NAME% reset statement_timeout',
    object: /^DATABASE setting statement_timeout of role check_reader$/,
    kind: 'missing',
  },
  'connection limit': {
    sql: 'alter database %NAME% connection limit -1',
    object: /^DATABASE connection limit$/,
    says: /50/,
  },
  'tablespace of the database': {
    sql: 'alter database %NAME% set tablespace check_space',
    from: 'postgres',
    object: /^DATABASE tablespace$/,
    kind: 'added',
  },
  'tablespace of a table': {
    sql: 'alter table app.pairs set tablespace check_space',
    object: /^TABLE app.pairs$/,
    kind: 'different',
  },
  'OWNED BY': {
    sql: 'alter sequence app.orders_id_seq owned by none',
    object: /^(SEQUENCE OWNED BY app.orders_id_seq|TABLE app.orders|DEFAULT app.orders id)$/,
    says: /OWNED BY app.orders.id/,
  },
  'value of a sequence': {
    sql: "select setval('app.counter', 45)",
    object: /^SEQUENCE SET app.counter$/,
    says: /setval\('app.counter', 50, true\)/,
  },
  'value of an identity': {
    sql: 'alter table app.people alter id restart',
    object: /^SEQUENCE SET app.people_id_seq$/,
  },
  'step of a sequence': {
    sql: 'alter sequence app.counter increment 1',
    object: /^SEQUENCE app.counter$/,
    says: /INCREMENT BY 5/,
  },
  'foreign key': {
    sql: 'alter table app.orders drop constraint orders_person_fkey',
    object:
      /^(FK CONSTRAINT app.orders orders_person_fkey|COMMENT app.CONSTRAINT orders_person_fkey ON orders)$/,
    kind: 'missing',
  },
  'foreign key that is not valid': {
    sql: 'set session_replication_role = replica; alter table app.orders drop constraint orders_person_fkey, add constraint orders_person_fkey foreign key (person) references app.people on delete cascade not valid; comment on constraint orders_person_fkey on app.orders is $$whose$$',
    object: /^FK CONSTRAINT app.orders orders_person_fkey$/,
    kind: 'different',
  },
  'what a foreign key does': {
    sql: 'alter table app.orders drop constraint orders_person_fkey, add constraint orders_person_fkey foreign key (person) references app.people; comment on constraint orders_person_fkey on app.orders is $$whose$$',
    object: /^FK CONSTRAINT app.orders orders_person_fkey$/,
    says: /ON DELETE CASCADE/,
  },
  'unique constraint': {
    sql: 'alter table app.people drop constraint people_email_key',
    object: /^CONSTRAINT app.people people_email_key$/,
    kind: 'missing',
  },
  check: {
    sql: 'alter table app.people drop constraint people_kind_check',
    object: /^TABLE app.people$/,
    says: /people_kind_check/,
  },
  'check that allows less': {
    sql: "alter table app.people drop constraint people_kind_check, add constraint people_kind_check check (kind in ('a', 'b'))",
    object: /^TABLE app.people$/,
  },
  'not null': {
    sql: 'alter table app.orders alter state drop not null',
    object: /^TABLE app.orders$/,
    says: /state app.state DEFAULT 'open'::app.state NOT NULL/,
  },
  'default of a column': {
    sql: 'alter table app.people alter name drop default',
    object: /^TABLE app.people$/,
    says: /DEFAULT 'nobody'/,
  },
  'default of a serial': {
    sql: 'alter table app.orders alter id drop default',
    object: /^DEFAULT app.orders id$/,
    kind: 'missing',
  },
  identity: {
    sql: 'alter table app.people alter id drop identity',
    object: /^SEQUENCE (SET )?app.people_id_seq$/,
    kind: 'missing',
  },
  'generated column': {
    sql: 'alter table app.people alter upper_name drop expression',
    object: /^TABLE app.people$/,
    says: /GENERATED ALWAYS AS/,
  },
  'collation of a column': {
    sql: 'alter table app.pairs alter tag type text collate "default"',
    object: /^TABLE app.pairs$/,
    says: /COLLATE pg_catalog."C"/,
  },
  'length of a column': {
    sql: 'drop view app.open_orders; drop index app.people_lower; alter table app.people drop upper_name; alter table app.people alter name type text',
    object: /app/,
  },
  'a column': { sql: 'alter table app.orders drop unlogged_note', object: /^TABLE app.orders$/ },
  'storage of a column': {
    sql: 'alter table app.orders alter unlogged_note set storage main',
    object: /^TABLE app.orders$/,
    says: /STORAGE EXTERNAL/,
  },
  'statistics of a column': {
    sql: 'alter table app.orders alter person set statistics -1',
    object: /^TABLE app.orders$/,
    says: /SET STATISTICS 500/,
  },
  'compression of a column': {
    sql: 'alter table app.people alter about set compression pglz',
    object: /^TABLE app.people$/,
    kind: 'different',
  },
  'option of a table': {
    sql: 'alter table app.orders reset (fillfactor)',
    object: /^TABLE app.orders$/,
    says: /fillfactor/,
  },
  unlogged: { sql: 'alter table app.sessions set logged', object: /^TABLE app.sessions$/, says: /UNLOGGED/ },
  'a table': { sql: 'drop table app.child', object: /^TABLE app.child$/, kind: 'missing' },
  'a table too many': { sql: 'create table app.more (a int)', object: /^TABLE app.more$/, kind: 'added' },
  inheritance: { sql: 'alter table app.child no inherit app.parent', object: /^TABLE app.child$/ },
  partition: {
    sql: 'alter table app.events detach partition app.events_2025',
    object: /^TABLE ATTACH app.events_2025$/,
    kind: 'missing',
  },
  'bounds of a partition': {
    sql: "alter table app.events detach partition app.events_2025; delete from app.events_2025; alter table app.events attach partition app.events_2025 for values from ('2024-01-01') to ('2025-01-01')",
    object: /^TABLE ATTACH app.events_2025$/,
    kind: 'different',
  },
  'an index': {
    sql: 'drop index app.people_lower',
    object: /^INDEX app.people_lower$/,
    kind: 'missing',
    says: /lower\(/,
  },
  'an index that is not valid': {
    sql: "update pg_index set indisvalid = false where indexrelid = 'app.people_lower'::regclass",
    object: /^INDEX app.people_lower$/,
    kind: 'missing',
  },
  'condition of an index': {
    sql: 'drop index app.orders_open; create index orders_open on app.orders (placed); comment on index app.orders_open is $$fast$$',
    object: /^INDEX app.orders_open$/,
    says: /WHERE/,
  },
  trigger: { sql: 'drop trigger note on app.orders', object: /^TRIGGER app.orders note$/, kind: 'missing' },
  'trigger that is disabled': {
    sql: 'alter table app.orders disable trigger note',
    object: /^TRIGGER app.orders note$/,
    kind: 'different',
  },
  'trigger that fires always': {
    sql: 'alter table app.orders enable trigger note_rep',
    object: /^TRIGGER app.orders note_rep$/,
    says: /ENABLE ALWAYS/,
  },
  'event trigger': { sql: 'drop event trigger watch', object: /^EVENT TRIGGER watch$/, kind: 'missing' },
  'event trigger that is disabled': {
    sql: 'alter event trigger watch disable',
    object: /^EVENT TRIGGER watch$/,
    kind: 'different',
  },
  rule: { sql: 'drop rule quiet on app.pairs', object: /^RULE app.pairs quiet$/, kind: 'missing' },
  policy: { sql: 'drop policy own on app.orders', object: /^POLICY app.orders own$/, kind: 'missing' },
  'row security': {
    sql: 'alter table app.orders disable row level security',
    object: /^ROW SECURITY app.orders$/,
    kind: 'missing',
  },
  'row security that is forced': {
    sql: 'alter table app.orders force row level security',
    object: /^TABLE app.orders$/,
    kind: 'different',
  },
  'replica identity': {
    sql: 'alter table app.people replica identity default',
    object: /^TABLE app.people$/,
    says: /REPLICA IDENTITY FULL/,
  },
  'table of a publication': {
    sql: 'alter publication pub drop table app.orders',
    object: /^PUBLICATION TABLE app.pub orders$/,
    kind: 'missing',
  },
  'statistics object': {
    sql: 'drop statistics app.pairs_stats',
    object: /^STATISTICS app.pairs_stats$/,
    kind: 'missing',
  },
  view: { sql: 'drop view app.open_orders', object: /^VIEW app.open_orders$/, kind: 'missing' },
  'what a view selects': {
    sql: "create or replace view app.open_orders as select o.id, p.name from app.orders o join app.people p on p.id = o.person where o.state = 'done'",
    object: /^VIEW app.open_orders$/,
    says: /'open'/,
  },
  'materialized view that is not populated': {
    sql: 'refresh materialized view app.totals with no data',
    object: /^MATERIALIZED VIEW DATA app.totals$/,
    kind: 'missing',
  },
  'body of a function': {
    sql: 'create or replace function app.twice(a int default 2) returns int language sql immutable return a * 3',
    object: /^FUNCTION app.twice/,
  },
  'volatility of a function': {
    sql: 'alter function app.twice volatile',
    object: /^FUNCTION app.twice/,
    says: /IMMUTABLE/,
  },
  procedure: { sql: 'drop procedure app.nothing', object: /^PROCEDURE app.nothing\(\)$/, kind: 'missing' },
  aggregate: { sql: 'drop aggregate app.total(int)', object: /^AGGREGATE app.total/, kind: 'missing' },
  operator: { sql: 'drop operator app.=== (int, int)', object: /^OPERATOR app.===$/, kind: 'missing' },
  'label of an enum': {
    sql: "alter type app.state add value 'gone'",
    object: /^TYPE app.state$/,
    kind: 'different',
  },
  'attribute of a type': { sql: 'alter type app.pair drop attribute b', object: /^TYPE app.pair$/ },
  'check of a domain': {
    sql: 'alter domain app.email drop constraint email_check',
    object: /^DOMAIN app.email$/,
  },
  collation: { sql: 'drop collation app.german', object: /^COLLATION app.german$/, kind: 'missing' },
  'text search': {
    sql: 'drop text search configuration app.plain',
    object: /^TEXT SEARCH CONFIGURATION app.plain$/,
    kind: 'missing',
  },
  extension: {
    sql: 'drop extension hstore',
    object: /EXTENSION (- )?hstore$|EXTENSION hstore/,
    kind: 'missing',
  },
  'foreign server': {
    sql: 'drop server far cascade',
    object: /^(SERVER far|USER MAPPING USER MAPPING check_owner SERVER far)$/,
    kind: 'missing',
    says: /^not shown/,
  },
  'password of a user mapping': {
    sql: "alter user mapping for check_owner server far options (set password 'x')",
    object: /^USER MAPPING /,
    says: /^not shown/,
  },
  'bytes of a large object': {
    sql: 'select lo_truncate(lo_open(7001, 131072), 0)',
    object: /^large objects 7001 to 7001$/,
    kind: 'different',
  },
  'large object': { sql: 'select lo_unlink(7001)', object: /arge object|LARGE OBJECT/ },
  'privilege on a large object': {
    sql: 'revoke select on large object 7001 from check_reader',
    object: /^privileges of large objects$/,
    kind: 'missing',
    says: /GRANT SELECT ON LARGE OBJECT 7001/,
  },
  'owner of a large object': { sql: 'alter large object 7001 owner to check_owner', object: /arge objects/ },
  'a row that is missing': {
    sql: 'set session_replication_role = replica; delete from app.people where id = 7',
    object: /^rows of app.people$/,
    says: /^20 rows/,
    level: 'exact',
  },
  'a row that is there twice': {
    sql: 'drop rule quiet on app.pairs; insert into app.pairs select 7, 7; create rule quiet as on delete to app.pairs do instead nothing',
    object: /^rows of app.pairs$/,
    level: 'exact',
  },
  'a value that is another': {
    sql: "update app.orders set total = '999' where id = 3",
    object: /^rows of app.orders$/,
    says: /^20 rows/,
    level: 'exact',
  },
  'a moment that is another': {
    sql: "update app.orders set placed = placed + interval '1 microsecond' where id = 3",
    object: /^rows of app.orders$/,
    level: 'exact',
  },
  'a byte of a large object': {
    sql: "select lo_put(7001, 0, '\\xff')",
    object: /^large objects 7001 to 7001$/,
    level: 'exact',
  },
};
