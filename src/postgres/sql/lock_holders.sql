-- Who holds, or waits for, the lock that keeps others from reading a table.
-- Parameters: $1, the tables' oids, as '{16384,16390}'.
-- since: of the transaction, in UTC; prepared: the name of a prepared transaction, which no session has any more.
select
  l.relation as oid,
  n.nspname as schema,
  c.relname as name,
  l.pid,
  l.granted,
  coalesce(a.application_name, '') as application,
  coalesce(a.usename, p.owner) as role,
  a.state,
  p.gid as prepared,
  pg_catalog.to_char(
    pg_catalog.timezone('UTC', coalesce(a.xact_start, a.query_start, p.prepared)), 'YYYY-MM-DD HH24:MI:SS'
  ) as since
from pg_catalog.pg_locks l
join pg_catalog.pg_class c on c.oid = l.relation
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
left join pg_catalog.pg_prepared_xacts p
  on l.pid is null and l.virtualtransaction = pg_catalog.concat('-1/', p.transaction)
where l.locktype = 'relation'
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  and l.mode = 'AccessExclusiveLock'
  and l.pid is distinct from pg_catalog.pg_backend_pid()
  and l.relation = any ($1::pg_catalog.oid[])
order by l.granted desc, since
