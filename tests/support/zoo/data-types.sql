-- Schemas, extensions, languages, types and all that hangs on types: casts, operators, classes, aggregates,
-- conversions, transforms, access methods, text search.
set client_min_messages = warning;

-- ## schemas and extensions
create schema zoo authorization zoo_owner;
create schema extensions;
create schema "Odd ""Schema""";
create schema "línea
nueva" authorization "Zoo ""Keeper""";
create schema empty_schema authorization zoo_reader;
create extension hstore schema extensions;
create extension btree_gist schema extensions;
create extension lo schema extensions;
create extension file_fdw schema extensions;
create extension postgres_fdw schema extensions;
create extension pg_trgm with schema extensions version '1.5' ;
alter extension pg_trgm update;

-- ## a procedural language under another name
create function zoo.speak_call() returns language_handler language c as '$libdir/plpgsql', 'plpgsql_call_handler';
create function zoo.speak_inline(internal) returns void language c as '$libdir/plpgsql', 'plpgsql_inline_handler';
create function zoo.speak_check(oid) returns void language c as '$libdir/plpgsql', 'plpgsql_validator';
create trusted language speak handler zoo.speak_call inline zoo.speak_inline validator zoo.speak_check;
alter language speak owner to zoo_owner;
create function zoo.hello() returns text language speak as $$ begin return 'hello'; end $$;

-- ## collations
create collation zoo."Case Blind" (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create collation zoo.german (provider = icu, locale = 'de-u-co-phonebk');
create collation zoo.bytes (provider = libc, locale = 'C');
create collation zoo.halves (provider = libc, lc_collate = 'C', lc_ctype = 'POSIX');
alter collation zoo.german owner to zoo_owner;

-- ## enums
create type zoo.mood as enum ('sad', 'ok', 'happy');
alter type zoo.mood add value 'meh' before 'ok';
alter type zoo.mood add value 'ecstatic';
alter type zoo.mood owner to zoo_owner;
create type zoo."Odd Labels" as enum ('', ' ', 'it''s', 'two
lines', 'tab	here', 'back\slash', 'ünïcödé', '"quoted"');
create type zoo.no_labels as enum ();

-- ## a base type made of text's functions, and a type that stays a shell
create type zoo.label;
create function zoo.label_in(cstring) returns zoo.label immutable strict parallel safe language internal as 'textin';
create function zoo.label_out(zoo.label) returns cstring immutable strict parallel safe language internal as 'textout';
create function zoo.label_recv(internal) returns zoo.label stable strict parallel safe language internal as 'textrecv';
create function zoo.label_send(zoo.label) returns bytea stable strict parallel safe language internal as 'textsend';
create type zoo.label (
  input = zoo.label_in, output = zoo.label_out, receive = zoo.label_recv, send = zoo.label_send,
  internallength = variable, alignment = int4, storage = extended, category = 'z', delimiter = ';',
  default = 'it''s nothing', collatable = true
);
create type zoo.ghost;

-- ## domains
create domain zoo.positive as integer constraint above_zero check (value > 0);
create domain zoo.small_positive as zoo.positive default 7 not null check (value < 1000);
create domain zoo.german_text as text collate zoo.german default 'straße';
create domain zoo.positives as zoo.positive[] check (cardinality(value) < 10);
create domain zoo.legacy as text;
alter domain zoo.legacy owner to zoo_owner;
-- A domain whose constraint calls a function that takes the domain: each needs the other first.
create domain zoo.even as integer;
create function zoo.is_even(n integer, unused zoo.even[]) returns boolean
  immutable language sql as $$ select n % 2 = 0 $$;
alter domain zoo.even add constraint divides check (zoo.is_even(value, null));

-- ## composite and range types
create type zoo.inner_part as (x integer, y text[]);
create type zoo.address as (
  street text, "Zip Code" varchar(10) collate "C", inside zoo.inner_part, mood zoo.mood, gone integer, owner_age zoo.positive
);
alter type zoo.address drop attribute gone;
create type zoo.no_attributes as ();
create type zoo.float_range as range (
  subtype = float8, subtype_diff = float8mi, multirange_type_name = zoo."Float Spans"
);
create type zoo.name_range as range (subtype = text, collation = "C", subtype_opclass = text_pattern_ops);
create type zoo.whole_range;
create function zoo.whole_canonical(zoo.whole_range) returns zoo.whole_range
  immutable strict language internal as 'int4range_canonical';
create type zoo.whole_range as range (
  subtype = int4, canonical = zoo.whole_canonical, subtype_diff = int4range_subdiff
);

-- ## casts
create function zoo.mood_rank(zoo.mood) returns integer immutable strict language sql
  as $$ select array_position(enum_range(null::zoo.mood), $1) $$;
create cast (zoo.label as text) without function as implicit;
create cast (text as zoo.label) without function as assignment;
create cast (zoo.mood as integer) with function zoo.mood_rank(zoo.mood);
create cast (zoo.address as zoo.label) with inout;

-- ## operators
create function zoo.label_lt(zoo.label, zoo.label) returns boolean immutable strict language internal as 'text_lt';
create function zoo.label_le(zoo.label, zoo.label) returns boolean immutable strict language internal as 'text_le';
create function zoo.label_eq(zoo.label, zoo.label) returns boolean immutable strict language internal as 'texteq';
create function zoo.label_ne(zoo.label, zoo.label) returns boolean immutable strict language internal as 'textne';
create function zoo.label_ge(zoo.label, zoo.label) returns boolean immutable strict language internal as 'text_ge';
create function zoo.label_gt(zoo.label, zoo.label) returns boolean immutable strict language internal as 'text_gt';
create function zoo.label_cmp(zoo.label, zoo.label) returns integer immutable strict language internal as 'bttextcmp';
create function zoo.label_cmp(zoo.label, text) returns integer immutable strict language internal as 'bttextcmp';
create function zoo.label_lt(zoo.label, text) returns boolean immutable strict language internal as 'text_lt';
create function zoo.label_hash(zoo.label) returns integer immutable strict language internal as 'hashtext';
create function zoo.label_length(zoo.label) returns integer immutable strict language internal as 'textlen';
create function zoo.label_first(zoo.label, zoo.label) returns zoo.label
  immutable strict language internal as 'text_smaller';
create operator zoo.< (
  leftarg = zoo.label, rightarg = zoo.label, function = zoo.label_lt,
  commutator = operator(zoo.>), negator = operator(zoo.>=), restrict = scalarltsel, join = scalarltjoinsel
);
create operator zoo.<= (
  leftarg = zoo.label, rightarg = zoo.label, function = zoo.label_le, commutator = operator(zoo.>=),
  negator = operator(zoo.>), restrict = scalarlesel, join = scalarlejoinsel
);
create operator zoo.= (
  leftarg = zoo.label, rightarg = zoo.label, function = zoo.label_eq, commutator = operator(zoo.=),
  negator = operator(zoo.<>), restrict = eqsel, join = eqjoinsel, hashes, merges
);
create operator zoo.<> (
  leftarg = zoo.label, rightarg = zoo.label, function = zoo.label_ne, commutator = operator(zoo.<>),
  negator = operator(zoo.=), restrict = neqsel, join = neqjoinsel
);
create operator zoo.>= (leftarg = zoo.label, rightarg = zoo.label, function = zoo.label_ge);
create operator zoo.> (leftarg = zoo.label, rightarg = zoo.label, function = zoo.label_gt);
create operator zoo.< (leftarg = zoo.label, rightarg = text, function = zoo.label_lt);
create operator zoo.## (rightarg = zoo.label, function = zoo.label_length);
alter operator zoo.## (none, zoo.label) owner to zoo_owner;

-- ## operator families and classes
create operator family zoo.label_family using btree;
create operator family zoo.empty_family using gin;
create operator class zoo.label_ops default for type zoo.label using btree family zoo.label_family as
  operator 1 zoo.<, operator 2 zoo.<=, operator 3 zoo.=, operator 4 zoo.>=, operator 5 zoo.>,
  function 1 zoo.label_cmp(zoo.label, zoo.label);
alter operator family zoo.label_family using btree add
  operator 1 zoo.< (zoo.label, text), function 1 (zoo.label, text) zoo.label_cmp(zoo.label, text);
create operator class zoo.label_hash_ops default for type zoo.label using hash as
  operator 1 zoo.=, function 1 zoo.label_hash(zoo.label);
create operator class zoo.point_near for type point using gist as
  operator 11 |>>(point, point),
  operator 15 <->(point, point) for order by pg_catalog.float_ops,
  function 1 gist_point_consistent(internal, point, smallint, oid, internal),
  function 2 gist_box_union(internal, internal),
  function 3 gist_point_compress(internal),
  function 5 gist_box_penalty(internal, internal, internal),
  function 6 gist_box_picksplit(internal, internal),
  function 7 gist_box_same(box, box, internal),
  function 8 (point, point) gist_point_distance(internal, point, smallint, oid, internal),
  function 9 gist_point_fetch(internal),
  storage box;
alter operator class zoo.label_ops using btree owner to zoo_owner;
alter operator family zoo.label_family using btree owner to zoo_owner;

-- ## aggregates: plain, parallel, moving, ordered-set, hypothetical-set, with a sort operator
create aggregate zoo.product(float8) (sfunc = float8mul, stype = float8, initcond = '1', combinefunc = float8mul);
create aggregate zoo.average(bigint) (
  sfunc = int8_avg_accum, stype = internal, sspace = 128, finalfunc = numeric_poly_avg, finalfunc_modify = read_only,
  combinefunc = int8_avg_combine, serialfunc = int8_avg_serialize, deserialfunc = int8_avg_deserialize, parallel = safe
);
create aggregate zoo.running(integer) (
  sfunc = int4pl, stype = integer, initcond = '0',
  msfunc = int4pl, minvfunc = int4mi, mstype = integer, minitcond = '0'
);
create aggregate zoo.middle(float8 order by anyelement) (
  sfunc = ordered_set_transition, stype = internal, finalfunc = percentile_disc_final, finalfunc_extra
);
create aggregate zoo.rank_of(variadic "any" order by variadic "any") (
  sfunc = ordered_set_transition_multi, stype = internal, finalfunc = rank_final, finalfunc_extra, hypothetical
);
create aggregate zoo.first_label(zoo.label) (
  sfunc = zoo.label_first, stype = zoo.label, sortop = operator(zoo.<)
);
create aggregate zoo.how_many(*) (sfunc = int8inc, stype = bigint, initcond = '0');
alter aggregate zoo.product(float8) owner to zoo_owner;

-- ## conversions, transforms, access methods
create conversion zoo.from_latin for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
create default conversion zoo.to_latin for 'UTF8' to 'LATIN1' from utf8_to_iso8859_1;
alter conversion zoo.from_latin owner to zoo_owner;
create transform for integer language sql (
  from sql with function prsd_lextype(internal), to sql with function int4recv(internal)
);
create access method zoo_gist type index handler gisthandler;
create access method zoo_heap type table handler heap_tableam_handler;

-- ## text search
create text search parser zoo.words (
  start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, headline = prsd_headline, lextypes = prsd_lextype
);
create text search template zoo.simple_words (init = dsimple_init, lexize = dsimple_lexize);
create text search dictionary zoo.no_stopwords (template = zoo.simple_words, stopwords = english, accept = false);
create text search configuration zoo.search (parser = zoo.words);
alter text search configuration zoo.search add mapping for asciiword, word with zoo.no_stopwords, english_stem;
alter text search configuration zoo.search add mapping for email, url with simple;
create text search configuration zoo."Copied Search" (copy = pg_catalog.english);
alter text search configuration zoo."Copied Search" drop mapping for int, uint;
alter text search dictionary zoo.no_stopwords owner to zoo_owner;
alter text search configuration zoo.search owner to zoo_owner;

-- ## foreign data
create foreign data wrapper zoo_wrapper options (debug 'true', note 'it''s');
create foreign data wrapper zoo_files handler extensions.file_fdw_handler validator extensions.file_fdw_validator;
create server "Remote Server" type 'pg' version '15.0' foreign data wrapper postgres_fdw
  options (host '/nowhere', dbname 'a''b', port '1');
create server files foreign data wrapper zoo_files;
alter server files owner to zoo_owner;
create user mapping for public server "Remote Server" options (user 'nobody');
create user mapping for zoo_reader server "Remote Server" options (user 'reader', password 'not ''really'' secret');
create user mapping for "Zoo ""Keeper""" server files;
