-- What hangs on a database outside of it: prepared transactions, logical replication slots, subscriptions, sessions other
-- than this one, and databases that a restore left beside it. `removable`: whether the session's role may end it.
-- Parameters: $1 the database's name, $2 a regular expression that the names of such leftovers match.
with me as (
  select oid, rolsuper, pg_catalog.pg_has_role(oid, 'pg_signal_backend', 'USAGE') as signals
  from pg_catalog.pg_roles where rolname operator(pg_catalog.=) current_user
)
select 'prepared transaction' as kind, p.gid as name,
  'of ' operator(pg_catalog.||) p.owner::pg_catalog.text operator(pg_catalog.||) ', prepared '
    operator(pg_catalog.||) pg_catalog.to_char(p.prepared at time zone 'UTC', 'YYYY-MM-DD HH24:MI UTC') as detail,
  false as removable, false as active
from pg_catalog.pg_prepared_xacts p where p.database operator(pg_catalog.=) $1
union all
select 'slot', s.slot_name::pg_catalog.text, s.plugin::pg_catalog.text, true, s.active
from pg_catalog.pg_replication_slots s where s.database operator(pg_catalog.=) $1
union all
select 'subscription', s.subname::pg_catalog.text, s.subslotname::pg_catalog.text,
  me.rolsuper or pg_catalog.pg_has_role(me.oid, s.subowner, 'USAGE'), s.subenabled
from me, pg_catalog.pg_subscription s
  join pg_catalog.pg_database d on d.oid operator(pg_catalog.=) s.subdbid
where d.datname operator(pg_catalog.=) $1
union all
select 'session', a.pid::pg_catalog.text,
  'process ' operator(pg_catalog.||) a.pid::pg_catalog.text
    operator(pg_catalog.||) coalesce(' of role ' operator(pg_catalog.||) a.usename::pg_catalog.text, '')
    operator(pg_catalog.||) coalesce(', ' operator(pg_catalog.||) nullif(coalesce(nullif(a.application_name, ''), nullif(a.backend_type, 'client backend')), ''), ''),
  me.rolsuper or not coalesce(r.rolsuper, true) and (me.signals or pg_catalog.pg_has_role(me.oid, r.oid, 'USAGE')),
  coalesce(a.state, '') operator(pg_catalog.<>) 'idle'
from me, pg_catalog.pg_stat_activity a left join pg_catalog.pg_roles r on r.oid operator(pg_catalog.=) a.usesysid
where a.datname operator(pg_catalog.=) $1 and a.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
  -- The server's own workers (autovacuum) have no role, and go when they are in the way.
  and (a.usesysid is not null or me.rolsuper and a.backend_type operator(pg_catalog.<>) 'autovacuum worker')
union all
select 'leftover', d.datname::pg_catalog.text, null, true, false
from pg_catalog.pg_database d where d.datname::pg_catalog.text operator(pg_catalog.~) $2
order by 1, 2
