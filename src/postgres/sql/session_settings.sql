-- Settings that decide how a value is written or read as text, or what a view or check computes from it, as sessions of
-- this role begin with them; of_role: set for the role itself, so other roles begin with something else. Parameters: none.
select
  s.name as name,
  s.reset_val as value,
  exists (
    select 1
    from pg_catalog.pg_db_role_setting d
    join pg_catalog.pg_roles r on r.oid operator(pg_catalog.=) d.setrole
    cross join pg_catalog.unnest(d.setconfig) as c (assignment)
    where r.rolname operator(pg_catalog.=) session_user
      and d.setdatabase in (0, (select oid from pg_catalog.pg_database where datname operator(pg_catalog.=) pg_catalog.current_database()))
      and pg_catalog.lower(pg_catalog.split_part(c.assignment, '=', 1)) operator(pg_catalog.=) pg_catalog.lower(s.name)
  ) as of_role
from pg_catalog.pg_settings s
where s.name in (
  'lc_monetary', 'lc_numeric', 'lc_time', 'DateStyle', 'IntervalStyle', 'TimeZone', 'timezone_abbreviations',
  'default_text_search_config', 'xmlbinary', 'bytea_output', 'extra_float_digits'
)
order by s.name
