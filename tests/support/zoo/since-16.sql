-- What PostgreSQL 16 added.
set client_min_messages = error;

-- ## collation rules, storage in the table's definition
create collation zoo.ruled (provider = icu, locale = 'und', rules = '&V << w <<< W');
create table zoo.stored (a text storage external compression pglz, b text storage main collate zoo.ruled);
insert into zoo.stored values (repeat('a', 3000), 'w');

-- ## SQL/JSON constructors and predicates, any_value, system_user
create view zoo.json_of_16 as
  select json_array(1, 'a' null on null returning jsonb) as a, json_object('k': 1, 'l': null absent on null with unique keys) as o,
    '{}' is json object with unique keys as is_object, any_value(id) as some,
    json_objectagg(note: id) filter (where id < 3) as agg, json_arrayagg(id order by id desc) as list, system_user as who,
    xmlserialize(document '<a/>' as text indent) as x, 0x1F + 1_000 as n
  from zoo.many where id < 5;

-- ## a subscription with its options
create subscription options_of_16 connection 'host=/nowhere' publication p
  with (connect = false, create_slot = false, enabled = false, slot_name = none, origin = none, streaming = parallel,
    run_as_owner = true, password_required = false);
