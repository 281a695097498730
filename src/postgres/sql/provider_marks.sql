-- Which of the given names the server has: what tells who runs it.
-- $1: prefixes of settings, $2: roles, $3: schemas; each a text[].
select
  pg_catalog.to_jsonb(array(
    select distinct pg_catalog.split_part(name, '.', 1) from pg_catalog.pg_settings
    where name like '%.%' and pg_catalog.split_part(name, '.', 1) = any ($1::pg_catalog.text[])
  )) as settings,
  pg_catalog.to_jsonb(array(
    select rolname::pg_catalog.text from pg_catalog.pg_roles where rolname = any ($2::pg_catalog.text[])
  )) as roles,
  pg_catalog.to_jsonb(array(
    select nspname::pg_catalog.text from pg_catalog.pg_namespace where nspname = any ($3::pg_catalog.text[])
  )) as schemas
