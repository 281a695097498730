-- The server's lock table, which all sessions share: where it is full, everybody's statements fail. Parameters: none.
-- sessions: for each of them the table has max_locks_per_transaction places, and twice as many for who holds which lock.
-- used: places taken by others, relations of this database apart. holders: who holds which lock, of all.
-- beside: what pg_dump locks beside tables: views, sequences, the catalogs and their indexes.
select
  pg_catalog.current_setting('max_locks_per_transaction') as each,
  pg_catalog.current_setting('max_connections')::pg_catalog.int8
    + coalesce(
        pg_catalog.current_setting('autovacuum_worker_slots', true),
        pg_catalog.current_setting('autovacuum_max_workers')
      )::pg_catalog.int8
    + 1
    + pg_catalog.current_setting('max_worker_processes')::pg_catalog.int8
    + pg_catalog.current_setting('max_wal_senders')::pg_catalog.int8
    + pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int8 as sessions,
  (
    select pg_catalog.count(*) from (
      select distinct l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid, l.objsubid
      from pg_catalog.pg_locks l
      where not l.fastpath
        and (l.locktype <> 'relation' or l.database not in (d.oid, 0))
    ) as taken
  ) as used,
  (select pg_catalog.count(*) from pg_catalog.pg_locks l where not l.fastpath) as holders,
  (
    select pg_catalog.count(*) from pg_catalog.pg_class c
    where c.relpersistence <> 't'
      and case when c.oid >= 16384 then c.relkind in ('v', 'm', 'S')
        else c.relkind in ('r', 'i') and c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace end
  ) as beside
from pg_catalog.pg_database d
where d.datname = pg_catalog.current_database()
