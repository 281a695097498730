-- Tables and sequences of a backup, each with what would stop it: `denied` (the role may not read it), `hidden` (row-level
-- security would hide rows from the role), or null. What belongs to an extension is left out, unless the extension says
-- that its rows are to be dumped. Parameters: none.
-- SELECT on each column is not enough: LOCK TABLE, which pg_dump starts with, asks for SELECT on the table.
select
  n.nspname as schema,
  c.relname as name,
  c.relkind as kind,
  case
    when not pg_catalog.has_schema_privilege(n.oid, 'USAGE') then 'denied'
    when c.relkind = 'S' then case when not pg_catalog.has_sequence_privilege(c.oid, 'SELECT') then 'denied' end
    when not pg_catalog.has_table_privilege(c.oid, 'SELECT') then 'denied'
    when c.relkind = 'r' and pg_catalog.row_security_active(c.oid) then 'hidden'
  end as obstacle
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'S')
  and c.relpersistence <> 't'
  and n.nspname not like 'pg\_%'
  and n.nspname <> 'information_schema'
  and (
    not exists (
      select 1 from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e'
    )
    or exists (select 1 from pg_catalog.pg_extension e where c.oid = any (e.extconfig))
  )
order by 1, 2
