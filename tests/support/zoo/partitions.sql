-- Partitioned tables: range, list and hash, several levels, defaults, unlike columns, indexes and keys across them.
set client_min_messages = warning;

-- ## range, then list, with a default, a partition of another shape, a foreign one and one detached
create table zoo.events (
  id bigint not null, at timestamptz not null default '2026-01-01 00:00+00', kind text, payload jsonb, note text default 'none'
) partition by range (at);
create table zoo.events_2025 partition of zoo.events for values from (minvalue) to ('2026-01-01 00:00+00');
create table zoo.events_2026 partition of zoo.events (note default 'of 2026', check (id > 0))
  for values from ('2026-01-01 00:00+00') to ('2027-01-01 00:00+00') partition by list (kind);
create table zoo.events_2026_login partition of zoo.events_2026 for values in ('login', 'logout', null);
create table "Odd ""Schema"""."events 'other'" partition of zoo.events_2026 default with (fillfactor = 50);
create table zoo.events_2027 (gone integer, note text, payload jsonb, at timestamptz not null, kind text, id bigint not null);
alter table zoo.events_2027 drop column gone;
alter table zoo.events attach partition zoo.events_2027 for values from ('2027-01-01 00:00+00') to ('2028-01-01 00:00+00');
create table zoo.events_rest partition of zoo.events default;
create table zoo.events_detached partition of zoo.events for values from ('2030-01-01 00:00+00') to ('2031-01-01 00:00+00');
insert into zoo.events (id, at, kind, payload, note)
  select i, timestamptz '2025-06-01 00:00+00' + i * interval '10 days',
    case i % 4 when 0 then 'login' when 1 then 'logout' when 2 then 'other' end, jsonb_build_object('i', i), 'note ' || i
  from generate_series(1, 120) i;
insert into zoo.events (id, at) values (1000, '2040-01-01 00:00+00'), (1001, '2030-06-01 00:00+00');
alter table zoo.events detach partition zoo.events_detached;

-- ## indexes over partitions: attached, left out of some, not valid as a whole
create index events_kind on zoo.events (kind) include (note);
create index events_note on only zoo.events (note);
create index events_2025_note on zoo.events_2025 (note);
alter index zoo.events_note attach partition zoo.events_2025_note;
create index events_2027_only on zoo.events_2027 (lower(kind)) where kind is not null;

-- ## hash by an enum, whose hash is not the same in another database, and by text
create table zoo.by_mood (mood zoo.mood, note text) partition by hash (mood);
create table zoo.by_mood_0 partition of zoo.by_mood for values with (modulus 2, remainder 0);
create table zoo.by_mood_1 partition of zoo.by_mood for values with (modulus 4, remainder 1);
create table zoo.by_mood_3 partition of zoo.by_mood for values with (modulus 4, remainder 3);
insert into zoo.by_mood select m, 'row ' || i from unnest(enum_range(null::zoo.mood)) m, generate_series(1, 20) i;
insert into zoo.by_mood values (null, 'no mood');
create table zoo.by_hash (name text, n integer) partition by hash (name, n);
create table zoo.by_hash_0 partition of zoo.by_hash for values with (modulus 3, remainder 0);
create table zoo.by_hash_1 partition of zoo.by_hash for values with (modulus 3, remainder 1) partition by hash (n);
create table zoo.by_hash_1_0 partition of zoo.by_hash_1 for values with (modulus 1, remainder 0);
create table zoo.by_hash_2 partition of zoo.by_hash for values with (modulus 3, remainder 2);
insert into zoo.by_hash select 'name ' || i, i from generate_series(1, 60) i;

-- ## list by an expression and a collation, range over several columns, no partitions at all
create table zoo.by_expression (name text, n integer) partition by list ((lower(name)) collate "C" text_ops);
create table zoo.by_expression_a partition of zoo.by_expression for values in ('a', 'it''s', 'back\slash');
create unlogged table zoo.by_expression_rest partition of zoo.by_expression default;
insert into zoo.by_expression values ('A', 1), ('IT''S', 2), ('z', 3), (null, 4);
create table zoo.by_several (a integer, b text, c date, primary key (c, a, b)) partition by range (a, b, c);
create table zoo.by_several_low partition of zoo.by_several for values from (minvalue, minvalue, minvalue) to (10, 'm', '2026-01-01');
create table zoo.by_several_high partition of zoo.by_several for values from (10, 'm', '2026-01-01') to (maxvalue, maxvalue, maxvalue);
insert into zoo.by_several values (1, 'z', 'infinity'), (10, 'm', '2025-12-31'), (10, 'm', '2026-01-01'), (11, 'a', '2026-01-01');
create table zoo.about_several (
  id integer, a integer, b text, c date, foreign key (c, a, b) references zoo.by_several on delete cascade
) partition by list (id);
create table zoo.about_several_rest partition of zoo.about_several default;
insert into zoo.about_several values (1, 1, 'z', 'infinity'), (2, null, null, null);
create table zoo.no_partitions (a integer primary key) partition by range (a);
create table zoo.part_remote (a integer, place text) partition by list (place);
create table zoo.part_remote_here partition of zoo.part_remote for values in ('here');
create foreign table zoo.part_remote_there partition of zoo.part_remote for values in ('there')
  server "Remote Server" options (table_name 'there');
insert into zoo.part_remote values (1, 'here');
