-- An extension with the two kinds of configuration table: one whose rows are all the user's, and one that ships rows of
-- its own and marks them, so that a dump takes only the others. A sequence counts as configuration too.
create table kinds (
  name text primary key,
  shipped boolean not null default false
);
insert into kinds values ('row of the extension', true);

create sequence setting_ids;
create table settings (
  id integer primary key default nextval('setting_ids'),
  kind text not null references kinds,
  value text
);

create function setting(wanted text) returns text
  language sql stable
  return (select value from settings where kind = wanted order by id limit 1);

select pg_catalog.pg_extension_config_dump('kinds', 'where not shipped');
select pg_catalog.pg_extension_config_dump('settings', '');
select pg_catalog.pg_extension_config_dump('setting_ids', '');
