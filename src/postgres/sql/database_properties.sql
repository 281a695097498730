-- The database of the session as CREATE DATABASE would make it, and the names of its own settings. Parameters: none.
-- rules: since PostgreSQL 16, null before.
select
  pg_catalog.pg_get_userbyid(d.datdba) as owner,
  pg_catalog.pg_encoding_to_char(d.encoding) as encoding,
  d.datcollate as collate,
  d.datctype as ctype,
  d.datlocprovider as locale_provider,
  coalesce(pg_catalog.to_jsonb(d) operator(pg_catalog.->>) 'datlocale', pg_catalog.to_jsonb(d) operator(pg_catalog.->>) 'daticulocale') as locale,
  pg_catalog.to_jsonb(d) operator(pg_catalog.->>) 'daticurules' as rules,
  t.spcname as tablespace,
  d.datconnlimit as connection_limit,
  coalesce((
    select pg_catalog.string_agg(pg_catalog.split_part(c.assignment, '=', 1), ',')
    from pg_catalog.pg_db_role_setting s cross join pg_catalog.unnest(s.setconfig) as c (assignment)
    where s.setdatabase operator(pg_catalog.=) d.oid and s.setrole operator(pg_catalog.=) 0
  ), '') as settings
from pg_catalog.pg_database d
join pg_catalog.pg_tablespace t on t.oid operator(pg_catalog.=) d.dattablespace
where d.datname operator(pg_catalog.=) pg_catalog.current_database()
