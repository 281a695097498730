-- Event triggers whose functions belong to a role without superuser, and would run with the rights of the session's, which
-- is one; the login ones left out, since they have had their chance. Parameters: none.
select t.evtname as name, o.rolname as owner, me.rolname as role,
  case t.evtenabled when 'R' then 'ENABLE REPLICA' when 'A' then 'ENABLE ALWAYS' else 'ENABLE' end as state
from pg_catalog.pg_event_trigger t
  join pg_catalog.pg_proc p on p.oid operator(pg_catalog.=) t.evtfoid
  join pg_catalog.pg_roles o on o.oid operator(pg_catalog.=) p.proowner
  join pg_catalog.pg_roles me on me.rolname operator(pg_catalog.=) current_user
where me.rolsuper and not o.rolsuper
  and t.evtenabled operator(pg_catalog.<>) 'D' and t.evtevent operator(pg_catalog.<>) 'login'
order by 1
