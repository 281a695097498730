-- What has to be done around the replacing of rows of tables, a row each, in the order of doing it:
--
-- force    row-level security of these tables, or of those that keys tie to them, that holds for the role too since it is
--          forced on the owner: lifted, and forced again at the end;
-- key      a foreign key to or from them (of partitions: the one at the top), which is dropped and made again;
-- check    a constraint that was not valid, of a table or a domain, which the rows may break: the same;
-- trigger  a trigger on them that would fire, which is disabled and enabled again;
-- stays    a foreign key whose own triggers somebody disabled: made again it would be checked, and enforced. It stays,
--          and nothing must fire it (session_replication_role);
-- rows     the removal of the rows, for a table that a key which stays refers to by DELETE;
-- config   the same of an extension's table, of those rows that pg_dump takes.
--
-- Texts are the bytes of the database's encoding in hex: statements to run under it as client_encoding.
-- Parameters: $1 text[], the tables, schema-qualified, as hex of their bytes; $2 text, the encoding of these bytes;
-- $3 text[], the partitioned tables that rows go through, in the same way. The search_path must be empty.
with recursive named as (
  select distinct pg_catalog.to_regclass(pg_catalog.convert_from(pg_catalog.decode(n.name, 'hex'), $2::pg_catalog.name))::pg_catalog.oid as oid
  from pg_catalog.unnest($1::pg_catalog.text[]) as n(name)
), tables as (
  select named.oid from named
  union
  select tree.relid::pg_catalog.oid
  from pg_catalog.unnest($3::pg_catalog.text[]) as n(name)
  cross join pg_catalog.to_regclass(pg_catalog.convert_from(pg_catalog.decode(n.name, 'hex'), $2::pg_catalog.name)) as root
  cross join lateral pg_catalog.pg_partition_tree(root) as tree
), touching as (
  select c.oid, c.conparentid
  from pg_catalog.pg_constraint c
  where c.contype OPERATOR(pg_catalog.=) 'f'
    and (c.conrelid in (select tables.oid from tables) or c.confrelid in (select tables.oid from tables))
  union
  select c.oid, c.conparentid
  from touching t
  join pg_catalog.pg_constraint c on c.oid OPERATOR(pg_catalog.=) t.conparentid
), key_tree as (
  select t.oid as top, t.oid from touching t where t.conparentid OPERATOR(pg_catalog.=) 0
  union
  select k.top, c.oid
  from key_tree k
  join pg_catalog.pg_constraint c on c.conparentid OPERATOR(pg_catalog.=) k.oid
), keys as (
  select c.*, exists (
      select from key_tree k
      join pg_catalog.pg_trigger t on t.tgconstraint OPERATOR(pg_catalog.=) k.oid
      where k.top OPERATOR(pg_catalog.=) c.oid and t.tgenabled OPERATOR(pg_catalog.<>) 'O'
    ) as stays
  from pg_catalog.pg_constraint c
  where c.oid in (select k.top from key_tree k)
), loose as (
  select c.oid, c.conrelid, c.conname
  from pg_catalog.pg_constraint c
  where c.contype in ('c', 'n') and not c.convalidated and c.conrelid in (select tables.oid from tables)
  union
  select c.oid, c.conrelid, c.conname
  from loose l
  join pg_catalog.pg_inherits i on i.inhrelid OPERATOR(pg_catalog.=) l.conrelid
  join pg_catalog.pg_constraint c on c.conrelid OPERATOR(pg_catalog.=) i.inhparent
    and c.conname OPERATOR(pg_catalog.=) l.conname and c.contype in ('c', 'n') and not c.convalidated
), loose_domains as (
  select c.oid, c.conname, c.contypid
  from pg_catalog.pg_constraint c
  join pg_catalog.pg_type d on d.oid OPERATOR(pg_catalog.=) c.contypid
  where not c.convalidated and pg_catalog.pg_has_role(d.typowner, 'USAGE') and exists (
      select from pg_catalog.pg_attribute a
      join pg_catalog.pg_type t on t.oid OPERATOR(pg_catalog.=) a.atttypid
      where a.attrelid in (select tables.oid from tables) and a.attnum OPERATOR(pg_catalog.>) 0 and not a.attisdropped
        and (t.oid OPERATOR(pg_catalog.=) c.contypid or t.typelem OPERATOR(pg_catalog.=) c.contypid)
    )
), work as (
  select 'stays' as kind, 1 as turn, k.oid, null as aside, null as back,
    pg_catalog.format('foreign key %s of %s', k.conname, k.conrelid::pg_catalog.regclass) as what
  from keys k where k.stays
  union all
  select 'force', 0, c.oid,
    pg_catalog.format('ALTER TABLE ONLY %s NO FORCE ROW LEVEL SECURITY', c.oid::pg_catalog.regclass),
    pg_catalog.format('ALTER TABLE ONLY %s FORCE ROW LEVEL SECURITY', c.oid::pg_catalog.regclass),
    pg_catalog.format('row-level security of %s', c.oid::pg_catalog.regclass)
  from pg_catalog.pg_class c
  where c.relforcerowsecurity and pg_catalog.row_security_active(c.oid) and pg_catalog.pg_has_role(c.relowner, 'USAGE')
    and (c.oid in (select tables.oid from tables) or exists (
      select from keys k where c.oid in (k.conrelid, k.confrelid)
    ))
  union all
  select 'key', 2, k.oid,
    pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::pg_catalog.regclass, k.conname),
    pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::pg_catalog.regclass, k.conname,
      pg_catalog.pg_get_constraintdef(k.oid))
    || coalesce((
      select pg_catalog.string_agg(pg_catalog.format('; COMMENT ON CONSTRAINT %I ON %s IS %L', c.conname,
        c.conrelid::pg_catalog.regclass, pg_catalog.obj_description(c.oid, 'pg_constraint')), '')
      from key_tree t
      join pg_catalog.pg_constraint c on c.oid OPERATOR(pg_catalog.=) t.oid
      where t.top OPERATOR(pg_catalog.=) k.oid and c.conname OPERATOR(pg_catalog.=) k.conname
        and pg_catalog.obj_description(c.oid, 'pg_constraint') is not null
    ), ''),
    pg_catalog.format('foreign key %s of %s', k.conname, k.conrelid::pg_catalog.regclass)
  from keys k where not k.stays
  union all
  select 'check', 3, c.oid,
    pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::pg_catalog.regclass, c.conname),
    pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::pg_catalog.regclass, c.conname,
      pg_catalog.pg_get_constraintdef(c.oid))
    || coalesce(pg_catalog.format('; COMMENT ON CONSTRAINT %I ON %s IS ', c.conname, c.conrelid::pg_catalog.regclass)
      || pg_catalog.quote_literal(pg_catalog.obj_description(c.oid, 'pg_constraint')), ''),
    pg_catalog.format('constraint %s of %s', c.conname, c.conrelid::pg_catalog.regclass)
  from loose l
  join pg_catalog.pg_constraint c on c.oid OPERATOR(pg_catalog.=) l.oid
  where c.coninhcount OPERATOR(pg_catalog.=) 0
  union all
  select 'check', 4, c.oid,
    pg_catalog.format('ALTER DOMAIN %s DROP CONSTRAINT %I', d.contypid::pg_catalog.regtype, c.conname),
    pg_catalog.format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', d.contypid::pg_catalog.regtype, c.conname,
      pg_catalog.pg_get_constraintdef(c.oid))
    || coalesce(pg_catalog.format('; COMMENT ON CONSTRAINT %I ON DOMAIN %s IS ', c.conname, d.contypid::pg_catalog.regtype)
      || pg_catalog.quote_literal(pg_catalog.obj_description(c.oid, 'pg_constraint')), ''),
    pg_catalog.format('constraint %s of domain %s', c.conname, d.contypid::pg_catalog.regtype)
  from loose_domains d
  join pg_catalog.pg_constraint c on c.oid OPERATOR(pg_catalog.=) d.oid
  union all
  select 'trigger', 5, t.oid,
    pg_catalog.format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', t.tgrelid::pg_catalog.regclass, t.tgname),
    pg_catalog.format('ALTER TABLE ONLY %s ENABLE %s TRIGGER %I', t.tgrelid::pg_catalog.regclass,
      case t.tgenabled when 'A' then 'ALWAYS' when 'R' then 'REPLICA' else '' end, t.tgname),
    pg_catalog.format('trigger %s of %s', t.tgname, t.tgrelid::pg_catalog.regclass)
  from pg_catalog.pg_trigger t
  where t.tgrelid in (select tables.oid from tables) and not t.tgisinternal and t.tgenabled OPERATOR(pg_catalog.<>) 'D'
  union all
  select 'rows', 6, r.oid,
    pg_catalog.format(case when exists (
        select from keys k
        join key_tree t on t.top OPERATOR(pg_catalog.=) k.oid
        join pg_catalog.pg_constraint c on c.oid OPERATOR(pg_catalog.=) t.oid
        where k.stays and c.confrelid OPERATOR(pg_catalog.=) r.oid
      ) then 'DELETE FROM ONLY %s' else 'TRUNCATE ONLY %s' end, r.oid::pg_catalog.regclass),
    null, pg_catalog.format('rows of %s', r.oid::pg_catalog.regclass)
  from pg_catalog.pg_class r
  where r.oid in (select named.oid from named) and r.relkind OPERATOR(pg_catalog.=) 'r'
    and not exists (
      select from pg_catalog.pg_extension e where r.oid OPERATOR(pg_catalog.=) any (e.extconfig)
    )
  union all
  select 'config', 7, c.relid,
    pg_catalog.format('DELETE FROM ONLY %s %s', c.relid::pg_catalog.regclass, e.extcondition[c.at]),
    null, pg_catalog.format('rows of %s', c.relid::pg_catalog.regclass)
  from pg_catalog.pg_extension e
  cross join lateral pg_catalog.unnest(e.extconfig) with ordinality as c(relid, at)
  join pg_catalog.pg_class r on r.oid OPERATOR(pg_catalog.=) c.relid and r.relkind OPERATOR(pg_catalog.=) 'r'
  where c.relid in (select named.oid from named)
)
select
  work.kind,
  pg_catalog.encode(pg_catalog.convert_to(work.aside, pg_catalog.getdatabaseencoding()), 'hex') as aside,
  pg_catalog.encode(pg_catalog.convert_to(work.back, pg_catalog.getdatabaseencoding()), 'hex') as back,
  pg_catalog.encode(pg_catalog.convert_to(work.what, pg_catalog.getdatabaseencoding()), 'hex') as what
from work
order by work.turn, work.oid
