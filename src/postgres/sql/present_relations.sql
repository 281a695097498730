-- What relations of these names are in the database: a row for each that is there.
-- Parameters: $1 text[], names, schema-qualified, as hex of their bytes; $2 text, the encoding of these bytes.
-- at: the place in $1. kind: pg_class.relkind. parent: of a partition, the table above it. owner: of a sequence, the
-- table whose column it belongs to; of an index, its table. other_users: of a sequence, tables with a column whose default
-- takes numbers from it, but the owner; of a partitioned one, those that have its rows. Tables are given by oid; names as hex of the database's encoding.
select
  n.at,
  c.oid,
  c.relkind as kind,
  parent.inhparent as parent,
  coalesce(i.indrelid, owner.refobjid) as owner,
  pg_catalog.encode(pg_catalog.convert_to(
    coalesce(i.indrelid, owner.refobjid)::pg_catalog.regclass::pg_catalog.text, pg_catalog.getdatabaseencoding()
  ), 'hex') as owner_name,
  case when c.relkind operator(pg_catalog.=) 'S' then (
    select pg_catalog.string_agg(distinct coalesce(leaf.relid::pg_catalog.oid, d.adrelid)::pg_catalog.text, ',')
    from pg_catalog.pg_depend u
    join pg_catalog.pg_attrdef d on d.oid operator(pg_catalog.=) u.objid
    join pg_catalog.pg_class t on t.oid operator(pg_catalog.=) d.adrelid
    left join lateral pg_catalog.pg_partition_tree(t.oid) as leaf on leaf.isleaf
    where u.classid operator(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass
      and u.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
      and u.refobjid operator(pg_catalog.=) c.oid
      and d.adrelid is distinct from owner.refobjid
      and (t.relkind operator(pg_catalog.<>) 'p' or leaf.relid is not null)
  ) end as other_users
from pg_catalog.unnest($1::pg_catalog.text[]) with ordinality as n(name, at)
cross join lateral pg_catalog.to_regclass(
  pg_catalog.convert_from(pg_catalog.decode(n.name, 'hex'), $2::pg_catalog.name)
) as found(oid)
join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) found.oid
left join pg_catalog.pg_inherits parent on parent.inhrelid operator(pg_catalog.=) c.oid and c.relispartition
left join pg_catalog.pg_index i on i.indexrelid operator(pg_catalog.=) c.oid
left join pg_catalog.pg_depend owner
  on c.relkind operator(pg_catalog.=) 'S'
  and owner.classid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
  and owner.objid operator(pg_catalog.=) c.oid
  and owner.refclassid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
  and owner.deptype in ('a', 'i')
order by n.at
