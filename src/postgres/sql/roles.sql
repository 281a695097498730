-- Roles of the cluster as CREATE ROLE needs them; those that PostgreSQL made itself are left out. Parameters: none.
-- Passwords are not here: see role_passwords.sql.
select
  r.rolname as name,
  r.rolsuper as superuser,
  r.rolinherit as inherit,
  r.rolcreaterole as createrole,
  r.rolcreatedb as createdb,
  r.rolcanlogin as login,
  r.rolreplication as replication,
  r.rolbypassrls as bypassrls,
  r.rolconnlimit as connection_limit,
  r.rolvaliduntil::pg_catalog.text as valid_until,
  r.oid = 10 as bootstrap,
  coalesce(pg_catalog.to_jsonb(r.rolconfig), '[]') as settings,
  pg_catalog.shobj_description(r.oid, 'pg_authid') as comment
from pg_catalog.pg_roles r
where r.rolname not like 'pg\_%'
order by r.rolname
