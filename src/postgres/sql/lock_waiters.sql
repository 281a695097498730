-- The relations of this database that somebody waits to change, behind whom everybody waits who wants to read them.
-- Parameters: none.
select distinct l.relation as oid
from pg_catalog.pg_locks l
where l.locktype = 'relation'
  and not l.granted
  and l.mode = 'AccessExclusiveLock'
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
