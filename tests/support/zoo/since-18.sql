-- What PostgreSQL 18 added.
set client_min_messages = error;

-- ## generated columns that are not stored
create table zoo.virtual (a integer, b integer generated always as (a * 2) virtual, c integer generated always as (a * 3), d text default 'd');
insert into zoo.virtual (a) values (1), (2), (null);
create table zoo.only_virtual (one integer generated always as (1) virtual);
insert into zoo.only_virtual default values;

-- ## NOT NULL as a constraint: named, not valid, not inherited, commented
create table zoo.not_nulls (a integer constraint "a is ""there""" not null, b integer, c integer, constraint c_there not null c no inherit);
insert into zoo.not_nulls values (1, null, 3);
alter table zoo.not_nulls add constraint b_there not null b not valid;
comment on constraint "a is ""there""" on zoo.not_nulls is 'a not-null constraint';
create table zoo.not_nulls_child (own integer not null) inherits (zoo.not_nulls);
create table zoo.not_nulls_kept (a integer primary key, constraint a_kept not null a);

-- ## constraints that are not enforced
create table zoo.not_enforced (
  id integer primary key, a integer check (a > 0) not enforced,
  b integer constraint points_nowhere references zoo.typed not enforced
);
insert into zoo.not_enforced values (1, -1, 999);

-- ## keys over time
create table zoo.leases (
  room integer, period daterange, tenant text, constraint lease_key primary key (room, period without overlaps),
  unique (tenant, period without overlaps)
);
insert into zoo.leases values (1, '[2026-01-01,2026-02-01)', 'a'), (1, '[2026-02-01,)', 'b');
create table zoo.payments (
  id integer, room integer, period daterange, foreign key (room, period period) references zoo.leases (room, period period)
);
insert into zoo.payments values (1, 1, '[2026-01-15,2026-02-15)');

-- ## a foreign key on a partitioned table that is not valid
create table zoo.parted_of_18 (id integer, x integer) partition by range (id);
create table zoo.parted_of_18_low partition of zoo.parted_of_18 for values from (0) to (100);
insert into zoo.parted_of_18 values (1, 999);
alter table zoo.parted_of_18 add constraint not_checked foreign key (x) references zoo.typed not valid;

-- ## OLD and NEW in RETURNING, collation, new options
create function zoo.returning_of_18(wanted integer) returns table (was text, is_now text) language sql begin atomic
  update zoo.pairs set note = upper(note) where a = wanted returning with (old as o, new as n) o.note, n.note;
end;
create collation zoo.unicode_fast (provider = builtin, locale = 'PG_UNICODE_FAST');
create publication of_18 for table zoo.virtual (a, d), zoo.generated with (publish_generated_columns = stored, publish = 'insert');
alter default privileges for role zoo_owner grant select on large objects to zoo_reader;
create table zoo.timed (id uuid default uuidv7(), t text default casefold('ß' collate zoo.unicode_fast));
