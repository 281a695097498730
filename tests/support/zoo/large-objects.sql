-- Large objects: empty, tiny, at the edge of a page (2048 bytes), with a hole, large; owners, grants, comments.
set client_min_messages = warning;

-- ## sizes
select lo_create(1000000001);
select lo_from_bytea(1000000002, '\x00');
select lo_from_bytea(1000000003, decode(repeat('5c', 2047), 'hex'));
select lo_from_bytea(1000000004, decode(repeat('0a', 2048), 'hex'));
select lo_from_bytea(1000000005, decode(repeat('ff', 2049), 'hex'));
select lo_from_bytea(1000000006, (select decode(string_agg(md5(i::text), ''), 'hex') from generate_series(1, 180000) i));
select lo_from_bytea(1000000007, 'begins here');
select lo_put(1000000007, 1000000, 'goes on after a hole');
select lo_from_bytea(4294967294, 'the highest number');
select lo_create(1000000100 + i) from generate_series(1, 30) i;

-- ## owners, grants, comments, and a table that refers to some
alter large object 1000000003 owner to zoo_owner;
alter large object 1000000006 owner to "Zoo ""Keeper""";
grant select on large object 1000000003 to zoo_reader with grant option;
grant all on large object 1000000004 to public;
revoke all on large object 1000000005 from current_user;
comment on large object 1000000002 is 'one byte, it''s zero';
create table zoo.objects (name text, object extensions.lo);
insert into zoo.objects select 'object ' || n, n::text::oid from generate_series(1000000001, 1000000007) n;
