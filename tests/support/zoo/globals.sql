-- What the zoo needs of the whole server: roles, memberships, settings. May run again, on any server that the zoo's
-- database is loaded or restored into. Role names hold no line ends, which PostgreSQL 19 refuses.
set client_min_messages = error;

do $$
declare
  wanted text;
begin
  foreach wanted in array array['zoo_owner', 'zoo_reader', 'zoo_writer', 'zoo_grantor', 'zoo_group',
                                'Zoo "Keeper"', 'zoo élève', 'zoo-''quoted''-\role'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
      execute pg_catalog.format('create role %I', wanted);
    end if;
  end loop;
end
$$;

alter role zoo_owner login createdb connection limit 7 valid until '2099-12-31 23:59:59+00';
alter role zoo_owner password
  'SCRAM-SHA-256$4096:em9vIHNhbHQgem9vIHNhbA==$U3RvcmVkS2V5IG9mIHRoZSB6b28sIDMyIGJ5dGVzISE=:U2VydmVyS2V5IG9mIHRoZSB6b28sIDMyIGJ5dGVzISE=';
alter role zoo_writer noinherit;
alter role "Zoo ""Keeper""" createrole bypassrls;
alter role zoo_reader set search_path = zoo, "Odd ""Schema""", public;
alter role zoo_reader set "zoo.note" = E'a ''quoted''\nvalue';
comment on role zoo_owner is 'owns most of the zoo';

grant zoo_group to zoo_reader;
grant zoo_group to zoo_grantor with admin option;
set role zoo_grantor;
grant zoo_group to zoo_writer;
reset role;
grant zoo_owner to "Zoo ""Keeper""" with admin option;
grant pg_read_all_stats to zoo_reader;
grant set on parameter log_min_duration_statement to zoo_reader with grant option;
grant alter system on parameter work_mem to zoo_writer;

do $$
begin
  if pg_catalog.current_setting('server_version_num')::integer >= 160000 then
    execute 'grant zoo_group to "zoo élève" with admin false, inherit true, set false';
  end if;
end
$$;
