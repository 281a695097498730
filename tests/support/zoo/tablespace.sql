-- A table, an index and a partition outside the default tablespace; zoo.ts makes zoo_space first.
set client_min_messages = warning;

-- ## in zoo_space
create table zoo.elsewhere (id integer primary key using index tablespace zoo_space, note text) tablespace zoo_space;
insert into zoo.elsewhere values (1, 'far away');
create index elsewhere_note on zoo.elsewhere (note);
create index many_note on zoo.many (note) tablespace zoo_space;
create materialized view zoo.elsewhere_view tablespace zoo_space as select id from zoo.elsewhere;
create table zoo.part_elsewhere (a integer) partition by list (a) tablespace zoo_space;
create table zoo.part_elsewhere_1 partition of zoo.part_elsewhere for values in (1);
create table zoo.part_elsewhere_2 partition of zoo.part_elsewhere for values in (2) tablespace pg_default;
insert into zoo.part_elsewhere values (1), (2);
