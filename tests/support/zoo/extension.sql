-- The zoo's own extension with configuration tables (extension/), where the server has it: rows that a user added.
set client_min_messages = warning;

-- ## only where it can be made
do $$
begin
  if exists (select from pg_catalog.pg_available_extensions where name = 'tidemark_zoo') then
    create extension tidemark_zoo;
    insert into zoo_config.kinds (name) values ('row of the user'), ('it''s \N');
    insert into zoo_config.settings (kind, value) values ('row of the user', 'one'), ('row of the extension', null);
    comment on extension tidemark_zoo is 'changed';
    grant select on zoo_config.settings to zoo_reader;
  end if;
end
$$;
