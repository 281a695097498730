-- What initdb's own objects in the database have been given since, as statements that take it back: default privileges of
-- roles, privileges on the server's own functions, tables and columns, and what the schema public has. For each: whether the session's role may. Parameters: none.
with me as (
  select oid, rolsuper from pg_catalog.pg_roles where rolname operator(pg_catalog.=) current_user
),
own (object, kind, privileges, initial) as (
  select f.oid::pg_catalog.regprocedure::pg_catalog.text, 'FUNCTION', coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner)),
    coalesce(i.initprivs, pg_catalog.acldefault('f', f.proowner))
  from pg_catalog.pg_proc f left join pg_catalog.pg_init_privs i on i.objoid operator(pg_catalog.=) f.oid
    and i.classoid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
  where f.oid operator(pg_catalog.<) 16384 and f.proacl is not null
  union all
  select c.oid::pg_catalog.regclass::pg_catalog.text, 'TABLE', coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner)),
    coalesce(i.initprivs, pg_catalog.acldefault('r', c.relowner))
  from pg_catalog.pg_class c left join pg_catalog.pg_init_privs i on i.objoid operator(pg_catalog.=) c.oid
    and i.classoid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass and i.objsubid operator(pg_catalog.=) 0
  where c.oid operator(pg_catalog.<) 16384 and c.relkind in ('r', 'v') and c.relacl is not null
  union all
  select pg_catalog.format('(%I) ON TABLE %s', a.attname, a.attrelid::pg_catalog.regclass), 'COLUMN', a.attacl,
    coalesce(i.initprivs, pg_catalog.acldefault('c', 10))
  from pg_catalog.pg_attribute a left join pg_catalog.pg_init_privs i on i.objoid operator(pg_catalog.=) a.attrelid
    and i.classoid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass and i.objsubid operator(pg_catalog.=) a.attnum
  where a.attrelid operator(pg_catalog.<) 16384 and a.attacl is not null
),
changes (object, kind, verb, privilege, grantee) as (
  select o.object, o.kind, 'REVOKE', e.privilege_type, e.grantee from own o, pg_catalog.aclexplode(o.privileges) e
  where not exists (select from pg_catalog.aclexplode(o.initial) i where i.grantee operator(pg_catalog.=) e.grantee
    and i.privilege_type operator(pg_catalog.=) e.privilege_type and i.is_grantable operator(pg_catalog.=) e.is_grantable)
  union all
  select o.object, o.kind, 'GRANT', e.privilege_type, e.grantee from own o, pg_catalog.aclexplode(o.initial) e
  where not exists (select from pg_catalog.aclexplode(o.privileges) i where i.grantee operator(pg_catalog.=) e.grantee
    and i.privilege_type operator(pg_catalog.=) e.privilege_type and i.is_grantable operator(pg_catalog.=) e.is_grantable)
),
defaults as (
  select d.defaclrole, r.rolname, n.nspname, d.defaclacl, d.defaclobjtype,
    case d.defaclobjtype when 'r' then 'TABLES' when 'S' then 'SEQUENCES' when 'f' then 'FUNCTIONS' when 'T' then 'TYPES'
      when 'n' then 'SCHEMAS' when 'L' then 'LARGE OBJECTS' end as kind
  from pg_catalog.pg_default_acl d join pg_catalog.pg_roles r on r.oid operator(pg_catalog.=) d.defaclrole
    left join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) d.defaclnamespace
)
select 'default privileges' as kind, 'of ' operator(pg_catalog.||) rolname::pg_catalog.text as name,
  me.rolsuper or pg_catalog.pg_has_role(me.oid, defaclrole, 'USAGE') as removable,
  coalesce((
    select pg_catalog.string_agg(
      pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE ALL ON %s FROM %s CASCADE', rolname,
        ' IN SCHEMA ' operator(pg_catalog.||) pg_catalog.quote_ident(nspname), kind,
        case e.grantee when 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantee)) end), '; ')
    from pg_catalog.aclexplode(defaclacl) e
  ), '') operator(pg_catalog.||)
  -- Without a schema the built-in defaults come back.
  case when nspname is not null then '' else
    pg_catalog.format('; ALTER DEFAULT PRIVILEGES FOR ROLE %1$I GRANT ALL ON %2$s TO %1$I', rolname, kind) operator(pg_catalog.||)
    case defaclobjtype when 'f' then pg_catalog.format('; ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT EXECUTE ON FUNCTIONS TO PUBLIC', rolname)
      when 'T' then pg_catalog.format('; ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT USAGE ON TYPES TO PUBLIC', rolname) else '' end
  end as statement
from me, defaults
union all
select 'schema', 'public', me.rolsuper or pg_catalog.pg_has_role(me.oid, n.nspowner, 'USAGE'),
  coalesce((
    select pg_catalog.string_agg(
      pg_catalog.format('REVOKE ALL ON SCHEMA public FROM %s CASCADE',
        case e.grantee when 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantee)) end), '; ')
    from pg_catalog.aclexplode(n.nspacl) e where e.grantee operator(pg_catalog.<>) n.nspowner
  ), '') operator(pg_catalog.||)
  '; ALTER SCHEMA public OWNER TO pg_database_owner; GRANT ALL ON SCHEMA public TO pg_database_owner; GRANT USAGE ON SCHEMA public TO PUBLIC; COMMENT ON SCHEMA public IS ''standard public schema'''
from me, pg_catalog.pg_namespace n where n.nspname operator(pg_catalog.=) 'public'
union all
select 'privilege', 'on ' operator(pg_catalog.||) k.object, me.rolsuper,
  pg_catalog.concat(k.verb, ' ', k.privilege,
    case k.kind when 'COLUMN' then ' ' else pg_catalog.format(' ON %s ', k.kind) end, k.object,
    case k.verb when 'GRANT' then ' TO ' else ' FROM ' end,
    case k.grantee when 0 then 'PUBLIC' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(k.grantee)) end,
    case k.verb when 'GRANT' then '' else ' CASCADE' end)
from me, changes k
