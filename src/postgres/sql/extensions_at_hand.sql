-- What the session's role can do about extensions. $1: their names, a text[].
-- present: in the session's database. available: the server could create it. creatable: this role could, with CREATE in the database.
select
  wanted.name as name,
  exists (select 1 from pg_catalog.pg_extension e where e.extname operator(pg_catalog.=) wanted.name::pg_catalog.name) as present,
  a.name is not null as available,
  coalesce(v.trusted or not v.superuser, false) or r.rolsuper as creatable
from pg_catalog.unnest($1::pg_catalog.text[]) as wanted (name)
join pg_catalog.pg_roles r on r.rolname operator(pg_catalog.=) current_user
left join pg_catalog.pg_available_extensions a on a.name operator(pg_catalog.=) wanted.name::pg_catalog.name
left join pg_catalog.pg_available_extension_versions v
  on v.name operator(pg_catalog.=) a.name and v.version operator(pg_catalog.=) a.default_version
order by wanted.name
