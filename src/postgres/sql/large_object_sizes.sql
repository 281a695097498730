-- How many rows (pieces of 256 KiB) and bytes the COPY text of large objects would have, without reading them.
-- Those that are not there are passed over. Run it in a transaction: the objects are open until it ends.
-- Parameters: $1 oid[], the large objects.
with sizes as materialized (
  select o.oid, pg_catalog.lo_lseek64(pg_catalog.lo_open(o.oid, 262144), 0, 2) as size
  from pg_catalog.unnest($1::pg_catalog.oid[]) as o (oid)
  where exists (
    select from pg_catalog.pg_largeobject_metadata m where m.oid operator(pg_catalog.=) o.oid
  )
)
select
  pg_catalog.count(*) as rows,
  coalesce(pg_catalog.sum(
    pg_catalog.length(s.oid::pg_catalog.text) operator(pg_catalog.+) pg_catalog.length(piece::pg_catalog.text)
    operator(pg_catalog.+) 6
    operator(pg_catalog.+) (2 operator(pg_catalog.*) least(262144, s.size operator(pg_catalog.-) piece))
  ), 0) as bytes
from sizes s,
  lateral pg_catalog.generate_series(0, greatest(s.size operator(pg_catalog.-) 1, 0), 262144) as piece
