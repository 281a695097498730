-- Every large object, in the order it is captured. Parameters: none.
select oid from pg_catalog.pg_largeobject_metadata order by oid
