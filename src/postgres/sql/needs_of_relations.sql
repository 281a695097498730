-- What can't be made where these relations are not there: views and what reads those, foreign keys, tables that inherit,
-- functions and columns of a relation's row type. A sequence can be made without the table that owns it, and so can a
-- partition, but it can't be attached.
-- Parameters: $1, the relations' oids, as '{16384,16390}'.
-- classid, objid: as pg_depend has them; attached: the schema and name of a partition, or of its index, that has lost what
-- it is attached to, else null; needs: the relation that is missing.
with recursive lost (classid, objid, needs) as (
  select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, c.oid,
    pg_catalog.format('%I.%I', n.nspname, c.relname)
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.oid = any ($1::pg_catalog.oid[])
  union
  select x.classid, x.objid, l.needs
  from lost l
  join pg_catalog.pg_depend d on d.refclassid = l.classid and d.refobjid = l.objid and d.deptype in ('n', 'a', 'i')
  left join pg_catalog.pg_rewrite r
    on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and r.oid = d.objid and r.rulename = '_RETURN'
  left join pg_catalog.pg_class c
    on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and c.oid = d.objid
  cross join lateral (
    select d.classid, d.objid
    union all
    select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, r.ev_class where r.oid is not null
  ) x
  where c.oid is null or (c.relkind <> 'S' and not c.relispartition)
)
select classid, objid, null as schema, null as name, needs from lost
union all
select 0, 0, n.nspname, c.relname, l.needs
from lost l
join pg_catalog.pg_inherits i on i.inhparent = l.objid
join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relispartition
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where l.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
