-- GRANT ... ON PARAMETER, which the whole cluster shares. Parameters: none.
select p.parname as parameter, a.grantee::pg_catalog.regrole::pg_catalog.text as role, a.privilege_type as privilege, a.is_grantable as grantable
from pg_catalog.pg_parameter_acl p, lateral pg_catalog.aclexplode(p.paracl) a
where a.grantee <> 0 and a.grantee <> 10
order by 1, 2, 3
