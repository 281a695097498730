-- What PostgreSQL 19 added.
set client_min_messages = error;

-- ## publications of all but some tables, and of sequences
create publication all_but_some for all tables except (table zoo.pairs, zoo.many, "Odd ""Schema"""."Table ""With"" 'Quotes' and spaces"),
  all sequences with (publish = 'update, delete');
create publication all_sequences for all sequences;
comment on publication all_sequences is 'of sequences alone';

-- ## a subscription to a foreign server, a wrapper that makes connection strings
create server publisher foreign data wrapper postgres_fdw options (host '/nowhere', dbname 'it''s');
create user mapping for current_user server publisher options (user 'someone', password 'hidden');
create subscription of_server server publisher publication p
  with (connect = false, create_slot = false, enabled = false, slot_name = none);
create foreign data wrapper zoo_connects handler extensions.postgres_fdw_handler connection extensions.postgres_fdw_connection;

-- ## identifiers of eight bytes
create table zoo.wide_ids (id oid8 primary key, note text);
insert into zoo.wide_ids values ('18446744073709551615', 'the last'), (0, 'the first');

-- ## INSERT that reads what is there, windows that skip nulls
create function zoo.found_or_made(wanted integer) returns setof zoo.typed language sql begin atomic
  insert into zoo.typed values (wanted, '{made}') on conflict (x) do select for update where typed.x > 0 returning *;
end;
create view zoo.last_known as
  select a, last_value(c) ignore nulls over (order by a) as last_c, lag(b, 1) respect nulls over (order by a desc) as lag_b
  from zoo.virtual;

-- ## statistics of columns that are not stored, constraints that stopped being enforced
create statistics zoo.of_virtual (ndistinct, mcv) on a, b, (c + 1) from zoo.virtual;
create table zoo.unenforced_later (a integer constraint positive check (a > 0), b integer constraint still check (b > 0));
alter table zoo.unenforced_later alter constraint positive not enforced;
insert into zoo.unenforced_later values (-1, 1);

-- ## a privilege that somebody else granted
create table zoo.granted_by (a integer);
grant select on zoo.granted_by to zoo_grantor with grant option;
set role zoo_grantor;
grant select on zoo.granted_by to zoo_reader granted by zoo_grantor;
reset role;
