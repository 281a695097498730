-- What a database holds besides what initdb put there: at most ten things. Parameters: none.
select kind || ' ' || name as thing from (
  select 'schema' as kind, nspname as name from pg_catalog.pg_namespace
  where nspname not like 'pg\_%' and nspname not in ('information_schema', 'public')
    and not exists (select 1 from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.objid = pg_namespace.oid and d.deptype = 'e')
  union all
  select case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end, n.nspname || '.' || c.relname
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname not like 'pg\_%' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
    and not exists (select 1 from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
  union all
  select 'function', n.nspname || '.' || p.proname
  from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  where n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
    and not exists (select 1 from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e')
  union all
  select 'type', n.nspname || '.' || t.typname
  from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  where n.nspname not like 'pg\_%' and n.nspname <> 'information_schema' and t.typtype in ('d', 'e', 'r')
    and not exists (select 1 from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.objid = t.oid and d.deptype = 'e')
  union all
  select 'large object', oid::pg_catalog.text from pg_catalog.pg_largeobject_metadata
  union all
  select 'publication', pubname from pg_catalog.pg_publication
  union all
  select 'event trigger', evtname from pg_catalog.pg_event_trigger
) contents
limit 10
