-- Tables that may hold rows to capture, with what is needed to read them.
-- Parameters: $1, the oids of the tables that the session has locked, as '{16384}': only their sizes are asked for, since
-- that waits for whoever has a table locked. Run it before the capture's transaction (what to lock) and inside it (what to read).
-- columns: what COPY reads, in the order pg_dump gives them; empty for a table without any.
-- condition: the WHERE clause of an extension's configuration table, else null.
select
  c.oid,
  n.nspname as schema,
  c.relname as name,
  c.relkind as kind,
  coalesce(am.amname, '') as access_method,
  pg_catalog.has_table_privilege(c.oid, 'SELECT') and pg_catalog.has_schema_privilege(n.oid, 'USAGE') as readable,
  pg_catalog.row_security_active(c.oid) as hides_rows,
  case when l.oid is not null then pg_catalog.pg_relation_size(c.oid, 'main') else 0 end as main_bytes,
  case when l.oid is not null then pg_catalog.pg_table_size(c.oid) else 0 end as table_bytes,
  coalesce((
    select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum)
    from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  ), '') as columns,
  (
    select e.extcondition[i] from pg_catalog.pg_extension e,
      lateral pg_catalog.generate_subscripts(e.extconfig, 1) i
    where e.extconfig[i] = c.oid
    limit 1
  ) as condition
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_am am on am.oid = c.relam
left join pg_catalog.unnest($1::pg_catalog.oid[]) as l (oid) on l.oid = c.oid and c.relkind = 'r'
where c.relkind in ('r', 'p')
  and c.relpersistence <> 't'
  and n.nspname not like 'pg\_%'
  and n.nspname <> 'information_schema'
order by c.oid
