-- User mappings of which the role can't see the options, which may hold passwords: pg_dump writes them without, and says
-- nothing. The condition is that of the view pg_user_mappings; whether there are any options shows only to who may see them.
-- Parameters: none.
select m.usename as name, m.srvname as server
from pg_catalog.pg_user_mappings m
join pg_catalog.pg_foreign_server s on s.oid operator(pg_catalog.=) m.srvid
where m.umoptions is null
  and not exists (
    select from pg_catalog.pg_roles r
    where r.rolname operator(pg_catalog.=) current_user and r.rolsuper
  )
  and not (m.umuser operator(pg_catalog.=) 0 and pg_catalog.pg_has_role(s.srvowner, 'USAGE'))
  and not (
    m.usename operator(pg_catalog.=) current_user
    and (pg_catalog.pg_has_role(s.srvowner, 'USAGE') or pg_catalog.has_server_privilege(s.oid, 'USAGE'))
  )
order by 1, 2
