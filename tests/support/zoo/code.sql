-- Functions, procedures, views, rules, materialized views, triggers.
set client_min_messages = warning;

-- ## functions
create function zoo.add(a integer, b integer default 1, c integer default null) returns integer
  language sql immutable leakproof strict parallel safe cost 3 return a + b;
create function zoo.add(a text, variadic rest text[]) returns text
  language plpgsql stable as $$ begin return a || array_to_string(rest, ','); end $$;
create function zoo.several(in a integer, out b integer, inout c text, out "D ""d""" date) language sql
  as $_$ select $1, $2 || '$$ \ '' "', '2026-01-01'::date $_$;
create function zoo.rows_of(n integer) returns table (id integer, "the note" text) rows 7 language plpgsql
  set search_path = zoo, "Odd ""Schema""", pg_temp set work_mem = '4MB' set "zoo.note" = 'it''s' security definer as $body$
begin
  -- a comment with $$ and a \. on a line of its own
  return query select m.id, m.note from many m order by m.id limit n;
end
$body$;
create function zoo.whichever(anyelement, anyarray) returns anyelement language sql immutable as 'select $1';
create function zoo.nothing() returns void language sql begin atomic end;
create function zoo.tally(wanted integer) returns bigint language sql stable begin atomic
  select count(*) from zoo.many where id > wanted and note like '%''%';
  select sum(id) from zoo.many where id > wanted;
end;
create function zoo.window_row() returns bigint window immutable language internal as 'window_row_number';
create function zoo."Odd; Function"(" a" integer, "B" zoo."Odd Labels"[] default '{"it''s"}') returns setof zoo.address
  language sql as $$ select (null::zoo.address).* where $1 > 0 $$;
create function zoo.by_domain(zoo.positive) returns zoo.positive language sql as 'select $1';
create function zoo.transformed(a integer) returns integer transform for type integer language sql as 'select a';
-- Needs the table's primary key, which a restore makes after the data: the function has to wait for it.
create table zoo.grouped (id integer primary key, name text);
insert into zoo.grouped values (1, 'one');
create function zoo.group_names() returns setof text language sql begin atomic
  select name from zoo.grouped group by id;
end;
create function zoo.merge_in(new_id integer, new_name text) returns void language sql begin atomic
  merge into zoo.grouped g using (select new_id as id, new_name as name) n on g.id = n.id
    when matched and n.name is null then delete
    when matched then update set name = n.name
    when not matched then insert (id, name) values (n.id, n.name);
end;
alter function zoo.tally owner to zoo_owner;
alter function zoo.add(integer, integer, integer) support pg_catalog.generate_series_int4_support;

-- ## procedures
create procedure zoo.work(in a integer, inout b text default 'x') language plpgsql as $$ begin b := b || a; commit; end $$;
create procedure zoo.note_down(text) language sql begin atomic insert into zoo.grouped values (length($1), $1); end;
create procedure zoo.finish(out done boolean) language plpgsql as $$ begin done := true; end $$;

-- ## views
create view zoo.plain_view as select id, note as "the ""note""", 'it''s' as quoted, id::text || E'\n' as lined from zoo.many;
create view zoo.barrier_view with (security_barrier = true, security_invoker = true) as select * from zoo.plain_view where id < 10;
create view zoo.checked_view as select id, note from zoo.many where id > 5 with cascaded check option;
create view zoo.local_view with (check_option = local) as select id from zoo.checked_view;
create view zoo.grouped_view as select id, name, count(*) from zoo.grouped group by id;
create recursive view zoo.numbers_to_ten (n) as values (1) union all select n + 1 from numbers_to_ten where n < 10;
create view zoo.column_less as select;
create view zoo.defaulted_view as select id, note from zoo.many;
alter view zoo.defaulted_view alter column note set default 'by the view';
alter view zoo.plain_view owner to zoo_owner;

-- ## a view and a function that need each other; two views that do
create view zoo.circle as select 1 as a;
create function zoo.circle_rows() returns setof zoo.circle language sql begin atomic select 1; end;
create or replace view zoo.circle as select a from zoo.circle_rows();
create view zoo.circle_one as select 1 as a, 'x'::text as b;
create view zoo.circle_two as select a, b from zoo.circle_one;
create or replace view zoo.circle_one as select a, b from zoo.circle_two;

-- ## materialized views: on each other, one never populated, one that waits for a primary key
create materialized view zoo.sums as select id % 10 as digit, count(*) as n from zoo.many group by 1 order by 1;
create unique index sums_digit on zoo.sums (digit);
create materialized view zoo.sums_of_sums with (fillfactor = 80) as select sum(n) as total from zoo.sums;
create materialized view zoo.a_sum_of_all as select total from zoo.sums_of_sums;
create materialized view zoo.never_populated as select id from zoo.many with no data;
create index never_populated_id on zoo.never_populated (id);
create materialized view zoo.on_never_populated as select id from zoo.never_populated with no data;
create materialized view zoo.grouped_rows as select id, name from zoo.grouped group by id;
create materialized view zoo."Mat ""View""" using zoo_heap as select name, zoo.add(id) as more from zoo.grouped_rows;
alter materialized view zoo.sums alter column n set statistics 77;
alter materialized view zoo.sums cluster on sums_digit;
grant select on zoo.many to zoo_owner; -- whose materialized view reads it when it is refreshed
alter materialized view zoo.sums owner to zoo_owner;

-- ## rules
create table zoo.rule_log (what text);
create rule "log ""all""" as on insert to zoo.grouped do also insert into zoo.rule_log values ('it''s ' || new.name);
create rule no_delete as on delete to zoo.grouped where old.id = 1 do instead nothing;
create rule tell as on update to zoo.grouped do also notify zoo_changed;
create rule view_insert as on insert to zoo.plain_view do instead insert into zoo.many (id, note) values (new.id, new."the ""note""") returning id, note, ''::text, ''::text;
create rule view_update as on update to zoo.plain_view do instead (update zoo.many set note = new.quoted where id = old.id; delete from zoo.rule_log);
alter table zoo.grouped disable rule no_delete;
alter table zoo.grouped enable always rule tell;

-- ## triggers; those that would fire on a load change what they load
create table zoo.triggered (id integer primary key, seen integer default 0, note text);
insert into zoo.triggered select i, 0, 'loaded' from generate_series(1, 5) i;
create table zoo.trigger_log (id integer generated always as identity, what text);
create function zoo.count_up() returns trigger language plpgsql as $$ begin new.seen := new.seen + 1; return new; end $$;
create function zoo.write_down() returns trigger language plpgsql as $$
begin
  insert into zoo.trigger_log (what) values (tg_name || ' ' || coalesce(array_to_string(tg_argv, '|'), ''));
  return null;
end
$$;
create trigger count_up before insert or update of note, seen on zoo.triggered for each row execute function zoo.count_up();
create trigger "Log ""it""" after insert or delete on zoo.triggered for each row when (pg_trigger_depth() < 10)
  execute function zoo.write_down('it''s', E'back\\slash', '', 'ü');
create trigger per_statement after update on zoo.triggered referencing old table as before new table as after
  for each statement execute function zoo.write_down();
create trigger emptied before truncate on zoo.triggered execute function zoo.write_down();
create trigger changed after update on zoo.triggered for each row when (old.* is distinct from new.*)
  execute function zoo.write_down('changed');
create constraint trigger in_the_end after insert on zoo.triggered from zoo.grouped deferrable initially deferred
  for each row execute function zoo.write_down();
create trigger switched_off after insert on zoo.triggered for each row execute function zoo.write_down();
create trigger only_replica after insert on zoo.triggered for each row execute function zoo.write_down();
create trigger always_on after insert on zoo.triggered for each row execute function zoo.write_down();
alter table zoo.triggered disable trigger switched_off, enable replica trigger only_replica, enable always trigger always_on;
create trigger instead instead of insert or update or delete on zoo.checked_view for each row execute function zoo.count_up();
create trigger on_partitions after insert on zoo.events for each row execute function zoo.write_down('events');
alter table zoo.events_2027 disable trigger on_partitions;
create trigger on_one_partition before insert on zoo.events_rest for each row execute function zoo.write_down();
create trigger on_foreign before insert on zoo.remote for each row execute function zoo.write_down();
create trigger manage_object before update or delete on zoo.identifiers for each row execute function extensions.lo_manage(o);

-- ## extended statistics
create statistics zoo.many_statistics (ndistinct, dependencies, mcv) on id, note from zoo.many;
create statistics "Odd ""Schema"""."stat ""istics""" on (lower(note)), (id % 10), id from zoo.many;
alter statistics zoo.many_statistics set statistics 200;
create statistics zoo.on_one_expression on (id * 2) from zoo.many;
alter statistics zoo.on_one_expression owner to zoo_owner;

-- ## cleaning up after ourselves: the rows that loading itself wrote
truncate zoo.trigger_log, zoo.rule_log restart identity;
