-- Which of the tablespaces the server has, and whether the session's role may create in them. $1: their names, a text[].
select t.spcname as name, pg_catalog.has_tablespace_privilege(t.oid, 'CREATE') as usable
from pg_catalog.pg_tablespace t
where t.spcname operator(pg_catalog.=) any ($1::pg_catalog.name[])
