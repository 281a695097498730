-- Tables, views, materialized views, foreign tables and sequences of the database it runs in, but for the server's own and
-- those of extensions. Sequences of columns go with their tables and are left out. Parameters: none.
select n.nspname as schema, c.relname as name, c.relkind in ('r', 'p') as holds_rows
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  and n.nspname operator(pg_catalog.!~) '^pg_' and n.nspname operator(pg_catalog.<>) 'information_schema'
  and not exists (
    select from pg_catalog.pg_depend d
    where d.classid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
      and d.objid operator(pg_catalog.=) c.oid and d.objsubid operator(pg_catalog.=) 0
      and (d.deptype operator(pg_catalog.=) 'e'
        or c.relkind operator(pg_catalog.=) 'S' and d.deptype in ('a', 'i')
          and d.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass)
  )
order by n.nspname, c.relname
