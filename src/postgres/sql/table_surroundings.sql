-- What must stand aside while rows of tables are replaced: foreign keys to and from them, and triggers on them, with the
-- statements that take them away and bring them back.
-- Parameters: $1 text[], the tables as regclass takes them.
with tables as (
  select t::regclass::oid as oid from unnest($1::text[]) as t
)
select
  1 as turn,
  format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname) as aside,
  format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_catalog.pg_get_constraintdef(c.oid)) as back,
  format('foreign key %s of %s', c.conname, c.conrelid::regclass) as what
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
  format('ALTER TABLE %s DISABLE TRIGGER %I', t.tgrelid::regclass, t.tgname),
  format('ALTER TABLE %s ENABLE %s TRIGGER %I', t.tgrelid::regclass, case t.tgenabled when 'A' then 'ALWAYS' when 'R' then 'REPLICA' else '' end, t.tgname),
  format('trigger %s of %s', t.tgname, t.tgrelid::regclass)
from pg_catalog.pg_trigger t
where t.tgrelid in (select oid from tables) and not t.tgisinternal and t.tgenabled <> 'D'
order by 1
