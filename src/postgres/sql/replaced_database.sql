-- A database that is to be replaced, and what the session's role may do with it; no row where there is none of that name.
-- Parameters: $1 its name.
select d.datallowconn as allows_connections, o.rolname as owner, me.rolname as role,
  me.rolsuper or pg_catalog.pg_has_role(me.oid, d.datdba, 'USAGE') as owned,
  me.rolsuper or me.rolcreatedb as creates_databases
from pg_catalog.pg_database d
  join pg_catalog.pg_roles o on o.oid operator(pg_catalog.=) d.datdba
  join pg_catalog.pg_roles me on me.rolname operator(pg_catalog.=) current_user
where d.datname operator(pg_catalog.=) $1
