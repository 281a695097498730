-- Who is a member of what. inherit_option and set_option exist since PostgreSQL 16, null before. Parameters: none.
select
  parent.rolname as role,
  member.rolname as member,
  grantor.rolname as grantor,
  m.admin_option as admin,
  pg_catalog.to_jsonb(m) ->> 'inherit_option' as inherit,
  pg_catalog.to_jsonb(m) ->> 'set_option' as set_role
from pg_catalog.pg_auth_members m
join pg_catalog.pg_roles parent on parent.oid = m.roleid
join pg_catalog.pg_roles member on member.oid = m.member
left join pg_catalog.pg_roles grantor on grantor.oid = m.grantor
where not (parent.rolname like 'pg\_%' and member.rolname like 'pg\_%')
order by 1, 2, 3
