-- What must stand aside while rows of tables are replaced: foreign keys to and from them, and triggers on them, with the
-- statements that take them away and bring them back.
-- Parameters: $1 text[], the tables as regclass takes them.
with tables as (
  select t::pg_catalog.regclass::pg_catalog.oid as oid from pg_catalog.unnest($1::pg_catalog.text[]) as t
)
select
  1 as turn,
  pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::pg_catalog.regclass, c.conname) as aside,
  pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::pg_catalog.regclass, c.conname, pg_catalog.pg_get_constraintdef(c.oid)) as back,
  pg_catalog.format('foreign key %s of %s', c.conname, c.conrelid::pg_catalog.regclass) as what
from pg_catalog.pg_constraint c
where c.contype = 'f' and c.conparentid = 0
  and (c.conrelid in (select oid from tables) or c.confrelid in (select oid from tables)
    or exists (
      select 1 from pg_catalog.pg_constraint child
      where child.conparentid = c.oid and (child.conrelid in (select oid from tables) or child.confrelid in (select oid from tables))
    ))
union all
select
  2,
  pg_catalog.format('ALTER TABLE %s DISABLE TRIGGER %I', t.tgrelid::pg_catalog.regclass, t.tgname),
  pg_catalog.format('ALTER TABLE %s ENABLE %s TRIGGER %I', t.tgrelid::pg_catalog.regclass, case t.tgenabled when 'A' then 'ALWAYS' when 'R' then 'REPLICA' else '' end, t.tgname),
  pg_catalog.format('trigger %s of %s', t.tgname, t.tgrelid::pg_catalog.regclass)
from pg_catalog.pg_trigger t
where t.tgrelid in (select oid from tables) and not t.tgisinternal and t.tgenabled <> 'D'
order by 1
