-- What the connected role may do, as far as a backup or a restore depends on it. Parameters: none.
-- largeobjects_denied: large objects that the role may not read; pg_read_all_data counts for them from PostgreSQL 19 on.
select
  current_user as role,
  r.rolsuper as superuser,
  r.rolbypassrls as bypassrls,
  r.rolcreatedb as createdb,
  r.rolreplication as replication,
  pg_catalog.pg_has_role(current_user, 'pg_read_all_data', 'USAGE') as reads_all,
  pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') as reads_passwords,
  (
    select pg_catalog.count(*) from pg_catalog.pg_largeobject_metadata m
    where not r.rolsuper
      and pg_catalog.current_setting('lo_compat_privileges') <> 'on'
      and not (pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 190000
               and pg_catalog.pg_has_role(current_user, 'pg_read_all_data', 'USAGE'))
      and not pg_catalog.pg_has_role(m.lomowner, 'USAGE')
      and not exists (
        select 1 from pg_catalog.aclexplode(m.lomacl) a
        where a.privilege_type = 'SELECT'
          and case when a.grantee = 0 then true else pg_catalog.pg_has_role(a.grantee, 'USAGE') end
      )
  ) as largeobjects_denied
from pg_catalog.pg_roles r
where r.rolname = current_user
