-- Password verifiers, which only a superuser (and some providers' owners) may read. Parameters: none.
select rolname as name, rolpassword as password
from pg_catalog.pg_authid
where rolpassword is not null and rolname not like 'pg\_%'
