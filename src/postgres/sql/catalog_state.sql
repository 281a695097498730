-- Objects whose definitions the server computes from the newest state of its catalogs, not from a snapshot, and which no
-- lock of a table keeps as they are; each with what tells its versions apart. Temporary objects are left out, and the row
-- types of tables. Of relations without rows of their own only what pg_dump writes, since REFRESH and ANALYZE change the
-- rest; of subscriptions what everybody may read. Parameters: none. Run under the snapshot and outside of it, and compared.
with temporary as (
  select oid from pg_catalog.pg_namespace where nspname like 'pg\_temp%' or nspname like 'pg\_toast\_temp%'
)
select 'pg_proc' as catalog, oid::pg_catalog.text as oid, (proname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_proc
where pronamespace not in (select oid from temporary)
union all
select 'pg_operator' as catalog, oid::pg_catalog.text as oid, (oprname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_operator
where oprnamespace not in (select oid from temporary)
union all
select 'pg_opclass' as catalog, oid::pg_catalog.text as oid, (opcname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_opclass
where opcnamespace not in (select oid from temporary)
union all
select 'pg_opfamily' as catalog, oid::pg_catalog.text as oid, (opfname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_opfamily
where opfnamespace not in (select oid from temporary)
union all
select 'pg_collation' as catalog, oid::pg_catalog.text as oid, (collname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_collation
where collnamespace not in (select oid from temporary)
union all
select 'pg_conversion' as catalog, oid::pg_catalog.text as oid, (conname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_conversion
where connamespace not in (select oid from temporary)
union all
select 'pg_ts_config' as catalog, oid::pg_catalog.text as oid, (cfgname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_ts_config
where cfgnamespace not in (select oid from temporary)
union all
select 'pg_ts_dict' as catalog, oid::pg_catalog.text as oid, (dictname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_ts_dict
where dictnamespace not in (select oid from temporary)
union all
select 'pg_ts_parser' as catalog, oid::pg_catalog.text as oid, (prsname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_ts_parser
where prsnamespace not in (select oid from temporary)
union all
select 'pg_ts_template' as catalog, oid::pg_catalog.text as oid, (tmplname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_ts_template
where tmplnamespace not in (select oid from temporary)
union all
select 'pg_statistic_ext' as catalog, oid::pg_catalog.text as oid, (stxname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_statistic_ext
where stxnamespace not in (select oid from temporary)
union all
select 'pg_amop' as catalog, oid::pg_catalog.text as oid, (oid::pg_catalog.text)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_amop
union all
select 'pg_amproc' as catalog, oid::pg_catalog.text as oid, (oid::pg_catalog.text)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_amproc
union all
select 'pg_cast' as catalog, oid::pg_catalog.text as oid, (pg_catalog.concat(castsource, ' to ', casttarget))::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_cast
union all
select 'pg_language' as catalog, oid::pg_catalog.text as oid, (lanname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_language
union all
select 'pg_extension' as catalog, oid::pg_catalog.text as oid, (extname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_extension
union all
select 'pg_foreign_data_wrapper' as catalog, oid::pg_catalog.text as oid, (fdwname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_foreign_data_wrapper
union all
select 'pg_foreign_server' as catalog, oid::pg_catalog.text as oid, (srvname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_foreign_server
union all
select 'pg_event_trigger' as catalog, oid::pg_catalog.text as oid, (evtname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_event_trigger
union all
select 'pg_publication' as catalog, oid::pg_catalog.text as oid, (pubname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_publication
union all
select 'pg_publication_rel' as catalog, oid::pg_catalog.text as oid, (oid::pg_catalog.text)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_publication_rel
union all
select 'pg_publication_namespace' as catalog, oid::pg_catalog.text as oid, (oid::pg_catalog.text)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_publication_namespace
union all
select 'pg_transform' as catalog, oid::pg_catalog.text as oid, (oid::pg_catalog.text)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_transform
union all
select 'pg_enum' as catalog, oid::pg_catalog.text as oid, (enumlabel)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_enum
union all
select 'pg_am' as catalog, oid::pg_catalog.text as oid, (amname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_am
union all
select 'pg_default_acl' as catalog, oid::pg_catalog.text as oid, (oid::pg_catalog.text)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_default_acl
union all
select 'pg_policy' as catalog, oid::pg_catalog.text as oid, (polname)::pg_catalog.text as name, xmin::pg_catalog.text as version
from pg_catalog.pg_policy
union all
select 'pg_namespace', oid::pg_catalog.text, nspname, xmin::pg_catalog.text
from pg_catalog.pg_namespace where oid not in (select oid from temporary)
union all
select 'pg_aggregate', aggfnoid::pg_catalog.oid::pg_catalog.text, aggfnoid::pg_catalog.oid::pg_catalog.text, xmin::pg_catalog.text
from pg_catalog.pg_aggregate
union all
select 'pg_range', rngtypid::pg_catalog.text, rngtypid::pg_catalog.text, xmin::pg_catalog.text
from pg_catalog.pg_range
union all
-- Names of roles may be in another encoding than the database's.
select 'pg_roles', oid::pg_catalog.text, oid::pg_catalog.text, pg_catalog.md5(rolname::pg_catalog.text)
from pg_catalog.pg_roles
union all
select 'pg_user_mapping', m.umid::pg_catalog.text, m.srvname, pg_catalog.concat_ws(' ', m.srvid, m.umuser, m.umoptions)
from pg_catalog.pg_user_mappings m
union all
select 'pg_subscription', s.oid::pg_catalog.text, s.subname,
  pg_catalog.concat_ws(' ', s.subname, s.subowner, s.subslotname, s.subsynccommit, s.subpublications)
from pg_catalog.pg_subscription s
where s.subdbid = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
union all
select 'pg_type', t.oid::pg_catalog.text, t.typname, t.xmin::pg_catalog.text
from pg_catalog.pg_type t
where t.typnamespace not in (select oid from temporary) and t.typrelid = 0
  and not exists (select from pg_catalog.pg_type e where e.oid = t.typelem and e.typrelid <> 0)
union all
select 'pg_class', c.oid::pg_catalog.text, c.relname,
  pg_catalog.concat_ws(' ', c.relname, c.relnamespace, c.relowner, c.relacl, c.reloptions, c.relnatts)
from pg_catalog.pg_class c
where c.relkind in ('v', 'm', 'S', 'f', 'c') and c.relnamespace not in (select oid from temporary)
union all
select 'pg_rewrite', r.oid::pg_catalog.text, (r.rulename)::pg_catalog.text, r.xmin::pg_catalog.text
from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
where c.relpersistence <> 't'
union all
select 'pg_trigger', r.oid::pg_catalog.text, (r.tgname)::pg_catalog.text, r.xmin::pg_catalog.text
from pg_catalog.pg_trigger r join pg_catalog.pg_class c on c.oid = r.tgrelid
where c.relpersistence <> 't'
union all
select 'pg_attrdef', r.oid::pg_catalog.text, (r.oid::pg_catalog.text)::pg_catalog.text, r.xmin::pg_catalog.text
from pg_catalog.pg_attrdef r join pg_catalog.pg_class c on c.oid = r.adrelid
where c.relpersistence <> 't'
union all
select 'pg_constraint', r.oid::pg_catalog.text, r.conname, r.xmin::pg_catalog.text
from pg_catalog.pg_constraint r
where r.connamespace not in (select oid from temporary)
union all
select 'pg_index', i.indexrelid::pg_catalog.text, c.relname, i.xmin::pg_catalog.text
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
where c.relpersistence <> 't' and c.relnamespace not in (select oid from temporary)
  and c.relnamespace <> 'pg_catalog'::pg_catalog.regnamespace and c.relnamespace <> 'pg_toast'::pg_catalog.regnamespace
