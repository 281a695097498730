-- Everything in the database it runs in that initdb did not put there, in the order in which it can be removed, with the
-- statement that does. What belongs to an extension goes with the extension, a column's sequence with its table. For each:
-- whether the session's role may remove it, and who owns it. Schemas that extensions live in come with their names.
-- Parameters: none.
with recursive me as (
  select oid, rolsuper from pg_catalog.pg_roles where rolname operator(pg_catalog.=) current_user
),
depths (relation, depth) as (
  select i.inhrelid, 1 from pg_catalog.pg_inherits i
    where not exists (select from pg_catalog.pg_inherits up where up.inhrelid operator(pg_catalog.=) i.inhparent)
  union
  select i.inhrelid, d.depth operator(pg_catalog.+) 1
    from pg_catalog.pg_inherits i join depths d on d.relation operator(pg_catalog.=) i.inhparent
),
objects (step, kind, class, id, owner, schema, rank) as (
  select 10, 'event trigger', 'pg_catalog.pg_event_trigger'::pg_catalog.regclass, oid, evtowner, 0::pg_catalog.oid, 0
    from pg_catalog.pg_event_trigger
  union all
  select 30, 'publication', 'pg_catalog.pg_publication'::pg_catalog.regclass, oid, pubowner, 0, 0 from pg_catalog.pg_publication
  union all
  select case when c.relkind in ('v', 'm', 'g') then 50 when c.relkind operator(pg_catalog.=) 'S' then 65 else 60 end,
      case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
        when 'f' then 'foreign table' when 'g' then 'property graph' else 'table' end,
      'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, c.relowner, c.relnamespace,
      operator(pg_catalog.-) coalesce((select pg_catalog.max(d.depth) from depths d where d.relation operator(pg_catalog.=) c.oid), 0)
    from pg_catalog.pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'g')
  union all
  select 70, 'extension', 'pg_catalog.pg_extension'::pg_catalog.regclass, oid, extowner, 0, 0
    from pg_catalog.pg_extension where extname operator(pg_catalog.<>) 'plpgsql'
  union all
  select 80, 'operator class', 'pg_catalog.pg_opclass'::pg_catalog.regclass, oid, opcowner, opcnamespace, 0 from pg_catalog.pg_opclass
  union all
  select 81, 'operator family', 'pg_catalog.pg_opfamily'::pg_catalog.regclass, oid, opfowner, opfnamespace, 0 from pg_catalog.pg_opfamily
  union all
  select 82, 'operator', 'pg_catalog.pg_operator'::pg_catalog.regclass, oid, oprowner, oprnamespace, 0 from pg_catalog.pg_operator
  union all
  select 83, case prokind when 'a' then 'aggregate' when 'p' then 'procedure' else 'function' end,
      'pg_catalog.pg_proc'::pg_catalog.regclass, oid, proowner, pronamespace, 0
    from pg_catalog.pg_proc
  union all
  select 84, 'type', 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, t.typowner, t.typnamespace, 0
    from pg_catalog.pg_type t left join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) t.typrelid
    where t.typtype in ('d', 'e', 'r', 'b', 'p') or c.relkind operator(pg_catalog.=) 'c'
  union all
  select 85, 'text search configuration', 'pg_catalog.pg_ts_config'::pg_catalog.regclass, oid, cfgowner, cfgnamespace, 0
    from pg_catalog.pg_ts_config
  union all
  select 86, 'text search dictionary', 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, oid, dictowner, dictnamespace, 0
    from pg_catalog.pg_ts_dict
  union all
  select 87, 'text search parser', 'pg_catalog.pg_ts_parser'::pg_catalog.regclass, oid, 0, prsnamespace, 0 from pg_catalog.pg_ts_parser
  union all
  select 88, 'text search template', 'pg_catalog.pg_ts_template'::pg_catalog.regclass, oid, 0, tmplnamespace, 0
    from pg_catalog.pg_ts_template
  union all
  select 89, 'conversion', 'pg_catalog.pg_conversion'::pg_catalog.regclass, oid, conowner, connamespace, 0 from pg_catalog.pg_conversion
  union all
  select 90, 'collation', 'pg_catalog.pg_collation'::pg_catalog.regclass, oid, collowner, collnamespace, 0 from pg_catalog.pg_collation
  union all
  select 91, 'statistics', 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, oid, stxowner, stxnamespace, 0
    from pg_catalog.pg_statistic_ext
  union all
  select 100, 'language', 'pg_catalog.pg_language'::pg_catalog.regclass, oid, lanowner, 0, 0 from pg_catalog.pg_language
  union all
  select 101, 'access method', 'pg_catalog.pg_am'::pg_catalog.regclass, oid, 0, 0, 0 from pg_catalog.pg_am
  union all
  select 102, 'server', 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, oid, srvowner, 0, 0 from pg_catalog.pg_foreign_server
  union all
  select 103, 'foreign data wrapper', 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, oid, fdwowner, 0, 0
    from pg_catalog.pg_foreign_data_wrapper
  union all
  select 130, 'schema', 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid, nspowner, 0, 0
    from pg_catalog.pg_namespace where nspname operator(pg_catalog.<>) 'public' and nspname operator(pg_catalog.!~) '^pg_(toast_)?temp_'
),
-- A name that pg_identify_object does not print as DROP wants it, or that has more than one owner.
other (step, kind, class, id, removable, owner, name, statement) as (
  select 20, 'subscription', 'pg_catalog.pg_subscription'::pg_catalog.regclass, s.oid,
      me.rolsuper or pg_catalog.pg_has_role(me.oid, s.subowner, 'USAGE'), s.subowner, pg_catalog.quote_ident(s.subname),
      pg_catalog.format('ALTER SUBSCRIPTION %1$I DISABLE; ALTER SUBSCRIPTION %1$I SET (slot_name = NONE); DROP SUBSCRIPTION %1$I', s.subname)
    from me, pg_catalog.pg_subscription s join pg_catalog.pg_database d on d.oid operator(pg_catalog.=) s.subdbid
    where d.datname operator(pg_catalog.=) pg_catalog.current_database()
  union all
  -- First of all constraints: whatever refers to a table would be locked together with it.
  select 40, 'foreign key', 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, true, c.relowner,
      k.conrelid::pg_catalog.regclass::pg_catalog.text operator(pg_catalog.||) '.' operator(pg_catalog.||) pg_catalog.quote_ident(k.conname),
      pg_catalog.format('ALTER TABLE IF EXISTS %s DROP CONSTRAINT IF EXISTS %I', k.conrelid::pg_catalog.regclass, k.conname)
    from me, pg_catalog.pg_constraint k join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) k.conrelid
    where k.contype operator(pg_catalog.=) 'f' and k.conparentid operator(pg_catalog.=) 0
      and not exists (
        select from pg_catalog.pg_depend d
        where d.classid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
          and d.objid operator(pg_catalog.=) c.oid and d.deptype operator(pg_catalog.=) 'e'
      )
      and (me.rolsuper or pg_catalog.pg_has_role(me.oid, c.relowner, 'USAGE'))
  union all
  select 78, 'transform', 'pg_catalog.pg_transform'::pg_catalog.regclass, f.oid,
      me.rolsuper or pg_catalog.pg_has_role(me.oid, t.typowner, 'USAGE'), t.typowner,
      pg_catalog.format('for %s language %I', pg_catalog.format_type(t.oid, null), l.lanname),
      pg_catalog.format('DROP TRANSFORM IF EXISTS FOR %s LANGUAGE %I CASCADE', pg_catalog.format_type(t.oid, null), l.lanname)
    from me, pg_catalog.pg_transform f join pg_catalog.pg_type t on t.oid operator(pg_catalog.=) f.trftype
      join pg_catalog.pg_language l on l.oid operator(pg_catalog.=) f.trflang
  union all
  select 79, 'cast', 'pg_catalog.pg_cast'::pg_catalog.regclass, k.oid,
      me.rolsuper or pg_catalog.pg_has_role(me.oid, s.typowner, 'USAGE') or pg_catalog.pg_has_role(me.oid, t.typowner, 'USAGE'),
      s.typowner,
      pg_catalog.format('(%s AS %s)', pg_catalog.format_type(s.oid, null), pg_catalog.format_type(t.oid, null)),
      pg_catalog.format('DROP CAST IF EXISTS (%s AS %s) CASCADE', pg_catalog.format_type(s.oid, null), pg_catalog.format_type(t.oid, null))
    from me, pg_catalog.pg_cast k join pg_catalog.pg_type s on s.oid operator(pg_catalog.=) k.castsource
      join pg_catalog.pg_type t on t.oid operator(pg_catalog.=) k.casttarget
    -- A range's cast to its multirange goes with them.
    where not exists (
      select from pg_catalog.pg_depend d
      where d.classid operator(pg_catalog.=) 'pg_catalog.pg_cast'::pg_catalog.regclass
        and d.objid operator(pg_catalog.=) k.oid and d.deptype operator(pg_catalog.=) 'i'
    )
  union all
  select 120, 'large object', 'pg_catalog.pg_largeobject'::pg_catalog.regclass, o.oid,
      me.rolsuper or pg_catalog.pg_has_role(me.oid, o.lomowner, 'USAGE'), o.lomowner, o.oid::pg_catalog.text,
      pg_catalog.format('SELECT pg_catalog.lo_unlink(%s)', o.oid)
    from me, pg_catalog.pg_largeobject_metadata o
),
members as (
  select classid, objid from pg_catalog.pg_depend where deptype operator(pg_catalog.=) 'e' and objsubid operator(pg_catalog.=) 0
)
select found.step, found.kind, found.name, found.statement, found.removable, r.rolname as owner,
  case found.kind when 'schema' then (
    select pg_catalog.string_agg(x.extname::pg_catalog.text, ', ') from pg_catalog.pg_extension x
    where x.extnamespace operator(pg_catalog.=) found.id and x.oid operator(pg_catalog.>=) 16384
  ) end as extensions
from (
  select o.step, o.kind, o.id, o.rank, i.identity as name, o.owner,
    'DROP ' operator(pg_catalog.||)
      case when o.kind in ('function', 'aggregate', 'procedure') then 'ROUTINE' else pg_catalog.upper(o.kind) end operator(pg_catalog.||) ' IF EXISTS '
      operator(pg_catalog.||) i.identity operator(pg_catalog.||) ' CASCADE' as statement,
    me.rolsuper
      or o.owner operator(pg_catalog.<>) 0 and pg_catalog.pg_has_role(me.oid, o.owner, 'USAGE')
      or n.nspowner is not null and pg_catalog.pg_has_role(me.oid, n.nspowner, 'USAGE') as removable
  from me, objects o left join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) o.schema,
    pg_catalog.pg_identify_object(o.class, o.id, 0) i
  where o.id operator(pg_catalog.>=) 16384
    and not exists (select from members m where m.classid operator(pg_catalog.=) o.class and m.objid operator(pg_catalog.=) o.id)
    -- A column's sequence, a range's multirange, an array, the operator family that a class made.
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid operator(pg_catalog.=) o.class and d.objid operator(pg_catalog.=) o.id and d.objsubid operator(pg_catalog.=) 0
        and (d.deptype operator(pg_catalog.=) 'i' and o.kind operator(pg_catalog.<>) 'table'
          or d.deptype operator(pg_catalog.=) 'a' and o.kind operator(pg_catalog.=) 'sequence')
    )
    and (n.nspname is null or n.nspname operator(pg_catalog.!~) '^pg_(toast_)?temp_')
  union all
  select o.step, o.kind, o.id, 0, o.name, o.owner, o.statement, o.removable
  from other o
  where (o.kind operator(pg_catalog.=) 'large object' or o.id operator(pg_catalog.>=) 16384)
    and not exists (select from members m where m.classid operator(pg_catalog.=) o.class and m.objid operator(pg_catalog.=) o.id)
) found left join pg_catalog.pg_roles r on r.oid operator(pg_catalog.=) found.owner
order by found.step, found.rank, found.name
