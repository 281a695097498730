-- Who keeps a session waiting for a lock; no row where it does not wait. Parameters: $1, the session's pid.
-- pid: 0 for a prepared transaction. since: of the transaction, in UTC.
select
  b.pid,
  coalesce(a.application_name, '') as application,
  a.usename as role,
  a.state,
  pg_catalog.to_char(
    pg_catalog.timezone('UTC', coalesce(a.xact_start, a.query_start)), 'YYYY-MM-DD HH24:MI:SS'
  ) as since
from pg_catalog.unnest(pg_catalog.pg_blocking_pids($1::pg_catalog.int4)) as b(pid)
left join pg_catalog.pg_stat_activity a on a.pid operator(pg_catalog.=) b.pid
order by a.xact_start
limit 1
