-- Default privileges of the session's role in its database: what they are for, statements that leave only what PostgreSQL
-- itself gives (suspend), and statements that make them again (back). Parameters: none.
with standing as (
  select
    d.defaclobjtype as type,
    n.nspname as schema,
    d.defaclacl as acl,
    -- With a schema, they come on top of what there is anyway.
    case when d.defaclnamespace operator(pg_catalog.=) 0
      then pg_catalog.acldefault(case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end, d.defaclrole)
    end as built_in,
    pg_catalog.format(
      'ALTER DEFAULT PRIVILEGES FOR ROLE %I%s', r.rolname,
      case when d.defaclnamespace operator(pg_catalog.<>) 0 then pg_catalog.format(' IN SCHEMA %I', n.nspname) else '' end
    ) as head,
    case d.defaclobjtype
      when 'r' then 'TABLES' when 'S' then 'SEQUENCES' when 'f' then 'FUNCTIONS' when 'T' then 'TYPES'
      when 'n' then 'SCHEMAS' when 'L' then 'LARGE OBJECTS'
    end as kind
  from pg_catalog.pg_default_acl d
  join pg_catalog.pg_roles r on r.oid operator(pg_catalog.=) d.defaclrole
  left join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) d.defaclnamespace
  where r.rolname operator(pg_catalog.=) current_user
),
statements as (
  select
    s.*,
    (
      select coalesce(pg_catalog.string_agg(
        pg_catalog.format('%s REVOKE ALL ON %s FROM %s;', s.head, s.kind, g.name), ' ' order by g.name
      ), '')
      from (
        select distinct case a.grantee when 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as name
        from pg_catalog.aclexplode(s.acl) a
        union
        select case a.grantee when 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
        from pg_catalog.aclexplode(s.built_in) a
      ) g
    ) as revoke_all,
    (
      select coalesce(pg_catalog.string_agg(pg_catalog.format(
        '%s GRANT %s ON %s TO %s%s;', s.head, a.privilege_type, s.kind,
        case a.grantee when 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end,
        case when a.is_grantable then ' WITH GRANT OPTION' else '' end
      ), ' '), '')
      from pg_catalog.aclexplode(s.built_in) a
    ) as grant_built_in,
    (
      select coalesce(pg_catalog.string_agg(pg_catalog.format(
        '%s GRANT %s ON %s TO %s%s;', s.head, a.privilege_type, s.kind,
        case a.grantee when 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end,
        case when a.is_grantable then ' WITH GRANT OPTION' else '' end
      ), ' '), '')
      from pg_catalog.aclexplode(s.acl) a
    ) as grant_own
  from standing s
)
select
  pg_catalog.lower(kind) || coalesce(' in schema ' || schema, '') as what,
  pg_catalog.concat_ws(' ', revoke_all, grant_built_in) as suspend,
  pg_catalog.concat_ws(' ', revoke_all, grant_own) as back
from statements
order by 1
