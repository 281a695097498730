-- Other sessions that hold locks on what users made in the database this runs in, or wait for them. Parameters: none.
select distinct 'process ' operator(pg_catalog.||) a.pid::pg_catalog.text
    operator(pg_catalog.||) coalesce(' of role ' operator(pg_catalog.||) a.usename::pg_catalog.text, '')
    operator(pg_catalog.||) case a.application_name when '' then '' else ', ' operator(pg_catalog.||) a.application_name end
    operator(pg_catalog.||) coalesce(', ' operator(pg_catalog.||) a.state, '') as session
from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid operator(pg_catalog.=) l.pid
where l.database operator(pg_catalog.=) (select oid from pg_catalog.pg_database where datname operator(pg_catalog.=) pg_catalog.current_database())
  and l.relation operator(pg_catalog.>=) 16384 and l.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
  and a.usesysid is not null
