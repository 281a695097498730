-- Empties the database it runs in, but for what initdb put there. Runs as one transaction: all or nothing. What belongs to
-- an extension goes with the extension. Parameters: none.
do $clean$
declare
  thing record;
begin
  for thing in select evtname from pg_catalog.pg_event_trigger loop
    execute pg_catalog.format('drop event trigger %I', thing.evtname);
  end loop;
  for thing in select pubname from pg_catalog.pg_publication loop
    execute pg_catalog.format('drop publication %I', thing.pubname);
  end loop;
  for thing in select extname from pg_catalog.pg_extension where extname <> 'plpgsql' loop
    execute pg_catalog.format('drop extension if exists %I cascade', thing.extname);
  end loop;
  for thing in select nspname from pg_catalog.pg_namespace where nspname not like 'pg\_%' and nspname <> 'information_schema' loop
    execute pg_catalog.format('drop schema %I cascade', thing.nspname);
  end loop;
  for thing in select srvname from pg_catalog.pg_foreign_server loop
    execute pg_catalog.format('drop server %I cascade', thing.srvname);
  end loop;
  for thing in select fdwname from pg_catalog.pg_foreign_data_wrapper loop
    execute pg_catalog.format('drop foreign data wrapper %I cascade', thing.fdwname);
  end loop;
  for thing in select lanname from pg_catalog.pg_language where oid >= 16384 loop
    execute pg_catalog.format('drop language %I cascade', thing.lanname);
  end loop;
  for thing in select castsource::pg_catalog.regtype as source, casttarget::pg_catalog.regtype as target from pg_catalog.pg_cast where oid >= 16384 loop
    execute pg_catalog.format('drop cast if exists (%s as %s) cascade', thing.source, thing.target);
  end loop;
  for thing in select amname from pg_catalog.pg_am where oid >= 16384 loop
    execute pg_catalog.format('drop access method %I cascade', thing.amname);
  end loop;
  perform pg_catalog.lo_unlink(oid) from pg_catalog.pg_largeobject_metadata;
  create schema public;
  begin
    alter schema public owner to pg_database_owner;
    comment on schema public is 'standard public schema';
    grant usage on schema public to public;
  exception when insufficient_privilege then
    null;
  end;
end
$clean$
