-- Tables whose rows can be compared, with the columns that are stored. Parameters: none.
select
  pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) as name,
  coalesce((
    select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attname)
    from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  ), '') as columns
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't'
  and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
order by 1
