-- Row security, grants, default privileges, publications, a subscription, event triggers, the database's own settings.
set client_min_messages = error;

-- ## row security
create table zoo.secrets (id integer primary key, owner name, level integer, note text);
insert into zoo.secrets values (1, 'zoo_owner', 1, 'seen by its owner'), (2, 'zoo_reader', 9, 'too high'), (3, 'postgres', 0, null);
alter table zoo.secrets owner to zoo_owner;
alter table zoo.secrets enable row level security, force row level security;
create function zoo.secrets_limit() returns table (level integer) language sql stable as 'select 5';
create policy own_rows on zoo.secrets using (owner = current_user) with check (owner = current_user);
create policy "Low ""level""" on zoo.secrets as restrictive for select to zoo_reader, zoo_group
  using (level < (select max(l.level) from zoo.secrets_limit() l));
create policy added on zoo.secrets for insert with check (note is not null);
create policy changed on zoo.secrets for update to public using (true) with check (id > 0);
create policy removed on zoo.secrets for delete to zoo_owner using (false);
create table zoo.row_security_on (a integer);
alter table zoo.row_security_on enable row level security;
insert into zoo.row_security_on values (1);
create table zoo.row_security_idle (a integer);
create policy idle on zoo.row_security_idle using (a = 1);

-- ## grants on schemas and tables, by owners and by those they let grant
grant usage on schema zoo to zoo_reader, zoo_writer, zoo_grantor;
grant create on schema zoo to zoo_grantor with grant option;
grant all on schema empty_schema to public;
revoke usage on schema public from public;
grant create on schema public to zoo_writer;
set role zoo_owner;
grant select, insert on zoo.options to zoo_grantor with grant option;
set role zoo_grantor;
grant select on zoo.options to zoo_reader;
grant insert on zoo.options to public;
reset role;
grant select on zoo.indexed to public, "zoo-'quoted'-\role";
grant select (id, note), update (note), references (id) on zoo.many to zoo_reader;
grant insert (note) on zoo.many to "Zoo ""Keeper""" with grant option;
grant select ("Id"), update ("select", "a
line end") on "Odd ""Schema"""."Table ""With"" 'Quotes' and spaces" to "zoo élève";
revoke all on zoo.no_rows from current_user;
revoke insert, delete on zoo.texts from current_user;
grant select on zoo.plain_view, zoo.sums, zoo.remote, zoo.events to zoo_reader;
grant insert on zoo.events_2027 to zoo_writer;
grant usage, select on sequence zoo.called_once to zoo_reader;
grant update on sequence zoo.backwards to zoo_writer with grant option;

-- ## grants on everything else, parts of extensions and of the system too
revoke execute on function zoo.add(integer, integer, integer) from public;
grant execute on function zoo.add(integer, integer, integer) to zoo_reader with grant option;
revoke all on procedure zoo.work(integer, text) from public;
grant execute on procedure zoo.note_down(text) to zoo_writer;
grant execute on function zoo.product(float8) to zoo_writer;
revoke usage on type zoo.mood from public;
grant usage on type zoo.mood to zoo_reader;
grant usage on domain zoo.legacy to zoo_writer with grant option;
revoke usage on language speak from public;
grant usage on language speak to zoo_owner;
grant usage on foreign data wrapper zoo_files to zoo_owner;
grant usage on foreign server files to zoo_reader with grant option;
revoke execute on function extensions.hstore_to_json(extensions.hstore) from public;
grant usage on foreign data wrapper postgres_fdw to zoo_owner;
grant select (rolname, oid) on pg_catalog.pg_authid to zoo_reader;
grant execute on function pg_catalog.pg_ls_waldir() to zoo_reader;

-- ## default privileges
alter default privileges for role zoo_owner in schema zoo grant select on tables to zoo_reader with grant option;
alter default privileges for role zoo_owner grant usage on sequences to zoo_writer;
alter default privileges for role zoo_owner revoke execute on functions from public;
alter default privileges for role zoo_owner in schema "Odd ""Schema""" grant all on functions to "zoo élève";
alter default privileges for role "Zoo ""Keeper""" revoke usage on types from public;
alter default privileges for role "Zoo ""Keeper""" grant create on schemas to zoo_reader;
alter default privileges for role zoo_reader revoke select on tables from zoo_reader;

-- ## publications
create publication everything for all tables with (publish = 'insert, truncate', publish_via_partition_root = true);
create publication "Some ""tables""" for table zoo.pairs (a, b), zoo.many where (id > 10 and note <> 'it''s'), only zoo.animals
  with (publish = 'insert');
create publication of_schema for tables in schema zoo, table "Odd ""Schema"""."Table ""With"" 'Quotes' and spaces"
  with (publish = '');
create publication of_nothing;
alter publication of_nothing owner to zoo_owner;

-- ## a subscription that never connects
create subscription "Zoo ""subscription""" connection 'host=/nowhere dbname=''it\''s'' password=hidden' publication "p 1", p2
  with (connect = false, create_slot = false, enabled = false, slot_name = 'zoo_slot', binary = true, streaming = true,
    synchronous_commit = 'off', two_phase = false, disable_on_error = true);

-- ## event triggers; they would write rows if they fired during a restore
create table zoo.event_log (tag text);
create function zoo.log_event() returns event_trigger language plpgsql
  as $$ begin insert into zoo.event_log values (tg_tag); end $$;
create event trigger on_create on ddl_command_end when tag in ('CREATE SEQUENCE', 'CREATE DOMAIN')
  execute function zoo.log_event();
create event trigger "Switched ""off""" on sql_drop execute function zoo.log_event();
create event trigger in_replica on ddl_command_start when tag in ('DROP COLLATION') execute function zoo.log_event();
create event trigger always_on on table_rewrite execute function zoo.log_event();
alter event trigger "Switched ""off""" disable;
alter event trigger in_replica enable replica;
alter event trigger always_on enable always;

-- ## the database itself
do $body$
declare
  me text := pg_catalog.quote_ident(pg_catalog.current_database());
  setting text;
begin
  foreach setting in array array[
    $$search_path = zoo, "Odd ""Schema""", public$$, $$timezone = 'Asia/Kathmandu'$$, $$datestyle = 'SQL, DMY'$$,
    $$intervalstyle = 'sql_standard'$$, $$extra_float_digits = -3$$, $$bytea_output = 'escape'$$,
    $$statement_timeout = '1h'$$, $$lock_timeout = '30min'$$, $$idle_in_transaction_session_timeout = '1h'$$,
    $$"zoo.note" = E'it''s\\ two\nlines'$$, $$xmloption = 'document'$$, $$check_function_bodies = on$$
  ] loop
    execute pg_catalog.format('alter database %s set %s', me, setting);
  end loop;
  execute pg_catalog.format($$alter role zoo_reader in database %s set work_mem = '7MB'$$, me);
  execute pg_catalog.format($$alter role "Zoo ""Keeper""" in database %s set search_path = ''$$, me);
  execute pg_catalog.format('alter database %s connection limit 50', me);
  execute pg_catalog.format('comment on database %s is %L', me, E'a zoo;\n it''s "quoted"\nwith lines');
  execute pg_catalog.format('revoke temporary, connect on database %s from public', me);
  execute pg_catalog.format('grant connect on database %s to zoo_reader with grant option', me);
  execute pg_catalog.format('grant create, temporary on database %s to zoo_owner', me);
end
$body$;
