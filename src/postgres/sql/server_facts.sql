-- What a capture writes down about its source, and what decides whether it can go on. Parameters: none.
select
  pg_catalog.current_database() as database,
  pg_catalog.current_setting('server_version') as server_version,
  pg_catalog.current_setting('server_version_num') as server_version_num,
  pg_catalog.pg_encoding_to_char(d.encoding) as encoding,
  d.datcollate as collate,
  d.datctype as ctype,
  d.datlocprovider as locale_provider,
  coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale') as icu_locale,
  pg_catalog.pg_database_size(d.oid) as size_bytes,
  (
    select pg_catalog.count(*) from pg_catalog.pg_class c where c.relkind = 'r' and c.oid >= 16384 and c.relpersistence <> 't'
  ) as tables,
  pg_catalog.pg_relation_size('pg_catalog.pg_largeobject_metadata') as large_objects_bytes,
  pg_catalog.pg_is_in_recovery() as in_recovery,
  pg_catalog.pg_backend_pid() as pid,
  r.rolsuper as superuser,
  current_user as role
from pg_catalog.pg_database d, pg_catalog.pg_roles r
where d.datname = pg_catalog.current_database() and r.rolname = current_user
