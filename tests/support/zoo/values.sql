-- Values that only survive when nothing decodes them, in tables by kind.
set client_min_messages = warning;
set datestyle = 'ISO, MDY';
set intervalstyle = 'postgres';

-- ## text: NULL, empty, what COPY escapes or could take for its own marks
create table zoo.texts (id integer primary key, t text, v varchar(20), c char(5), n name, one "char");
insert into zoo.texts values
  (1, null, null, null, null, null),
  (2, '', '', '', '', ''),
  (3, '\N', '\N', '\N', '\N', 'N'),
  (4, '\.', '\.', '\.', '\.', '.'),
  (5, E'\\.\n\\.', E'\\\\', E'\\', E'\\', E'\\'),
  (6, E'tab\there', E'cr\rhere', E'lf\n', E'\b\f\x0b', E'\n'),
  (7, E'\r\n\r\n', E'ends in cr\r', E'\t', 'NULL', ' '),
  (8, 'ünïcödé', 'Ω≈ç√∫', '日本', 'имя', E'\\351'),
  (9, '🦓🏳️‍🌈é' || U&'e\0301' || U&'\FEFF\200B\202E', '👩‍👩‍👧‍👦', '🦓', '🦓', '"'),
  (10, E'\x01\x02\x1f\x7f', E'\u0080\u009f', E'\u00a0', ' lead', E'\x01'),
  (11, '  trailing blanks  ', ' ', 'a', '', ''''),
  (12, repeat('x', 100000), 'x', 'x', repeat('n', 63), 'x'),
  (13, '\x41 \101 \n \t \r \b', '$$;--/*', '"''`', 'a;b', ','),
  (14, E'COPY t FROM stdin;\n1\t2\n\\.\n', '--', '/*', '*/', ';');
create table zoo."one text" (t text);
insert into zoo."one text" values ('\N'), ('\.'), (null), (''), (E'\n'), ('\\'), ('\'), (' ');

-- ## bytes and bits
create table zoo.bytes (id integer, b bytea, bits bit(9), varied bit varying);
insert into zoo.bytes values
  (1, '', B'000000000', B''), (2, '\x00', B'101010101', B'1'), (3, '\x5c6e5c2e0a0d09', null, null), (4, null, B'111111111', B'0'),
  (5, (select decode(string_agg(lpad(to_hex(i), 2, '0'), ''), 'hex') from generate_series(0, 255) i), null, repeat('10', 99)::varbit);

-- ## numbers
create table zoo.numbers (
  id integer, i2 smallint, i4 integer, i8 bigint, r real, d double precision, n numeric, scaled numeric(10, -3), fine numeric(3, 5), m money
);
insert into zoo.numbers values
  (1, -32768, -2147483648, -9223372036854775808, '-infinity', '-infinity', '-infinity', -9999999000, -0.00999, '-92233720368547758.08'),
  (2, 32767, 2147483647, 9223372036854775807, 'infinity', 'infinity', 'infinity', 9999999000, 0.00999, '92233720368547758.07'),
  (3, 0, 0, 0, 'nan', 'nan', 'nan', 0, 0, 0),
  (4, -0, -0, -0, '-0', '-0', '-0', 499, 0.00001, '-0.01'),
  (5, 1, 1, 9007199254740993, 1.1754944e-38, 2.2250738585072014e-308, 1e-1000, 1500, 0.00050, '1234.56'),
  (6, 1, 1, 1, 3.4028235e38, 1.7976931348623157e308, ('1' || repeat('0', 5000))::numeric, null, null, null),
  (7, 1, 1, 1, 1e-45, 5e-324, 0.1000000000000000000000000000, null, null, null),
  (8, 1, 1, 1, 0.1, 0.30000000000000004, repeat('9', 200)::numeric / 10 ^ 100, null, null, null),
  (9, null, null, null, 16777217, 9007199254740993, 1.50, null, null, null);

-- ## moments
create table zoo.moments (
  id integer, d date, t time, tz timetz, ts timestamp, tstz timestamptz, iv interval, years interval year to month, p timestamp(3)
);
insert into zoo.moments values
  (1, 'infinity', '24:00:00', '24:00:00-12:34:56', 'infinity', 'infinity', '0', '0', 'infinity'),
  (2, '-infinity', '00:00', '00:00+15:59:59', '-infinity', '-infinity', '-1 year +2 mons -3 days +04:05:06.789', '-13 mons', '-infinity'),
  (3, '4713-01-01 BC', '12:34:56.789012', '12:34:56.789012+05:45', '4713-01-01 00:00:00 BC', '4713-01-02 00:00:00+00 BC', '1 day -1 second', '1 year', '0044-03-15 12:00 BC'),
  (4, '5874897-12-31', '23:59:59.999999', '23:59:60+00', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '178000000 years', '178000000 years', '1999-12-31 23:59:59.9995'),
  (5, '0001-12-31 BC', null, null, '0001-12-31 23:59:59 BC', '1900-01-01 00:00:00+00:19:32', '-00:00:00.000001', null, null),
  (6, '2026-02-01', '02:30', '02:30-03', '2026-01-02 03:04:05.1', '2026-03-29 02:30:00+01', '-2147483648 months -2147483648 days', '1-2', null);

-- ## documents
create table zoo.documents (id integer, j json, jb jsonb, x xml, path jsonpath, h extensions.hstore, words tsvector, search tsquery);
insert into zoo.documents values
  (1, '{"b":1, "a" : 2,"b":3}', '{"b":1, "a" : 2,"b":3}', '<a b="c">text</a>', '$.a[*] ? (@ > 1)', 'b=>1, a=>NULL, "c d"=>"e\"f"', 'a fat cat', 'fat & !rat'),
  (2, ' [ 1.0 , 1e400, -0.0, "\u00e9\n\\" ] ', '[1.0, -0.0, 12345678901234567890.123456789]', 'text <b/> content', 'strict $', '', '''it''''s'':1A,5B ''two words'':3', 'a <-> b | ''it''''s'''),
  (3, 'null', 'null', '<?xml version="1.0"?><r/>', null, null, '', ''),
  (4, null, null, null, null, null, null, null),
  (5, E'{\n\t"kept":   "as is"\n}', '{}', '<![CDATA[ <&> ]]>', '$."key with \"quote\""', '""=>""', array_to_tsvector(array['a b', 'a\b']), 'a:*B');

-- ## arrays, composites, ranges
create table zoo.structures (
  id integer, numbers integer[], texts text[][], moods zoo.mood[], whole zoo.address, parts zoo.inner_part[], i4 int4range, n nummultirange,
  fr zoo.float_range, spans zoo."Float Spans", wr zoo.whole_range, ts tstzrange, labels zoo.label[], odd zoo."Odd Labels"
);
insert into zoo.structures values
  (1, '[0:2]={1,2,3}', '{{a,NULL},{"NULL",""}}', '{sad,NULL}', row(null, null, null, null, null), array[row(1, '{a}')]::zoo.inner_part[],
    '[1,5)', '{[1,2),(3,4]}', '[1.5,)', '{[1,2]}', '(1,4]', '[-infinity,infinity]', '{a;"b;c"}', 'two
lines'),
  (2, '[-3:-2][5:6]={{1,2},{3,4}}', '[2:2][3:4]={{"a\"b","c\\d"}}', '{}', row('', ' ', row(null, '{}'), 'ok', 1), '{}', 'empty', '{}',
    'empty', '{}', '(,)', '(,)', '{}', ''),
  (3, '{}', '{}', null, null, null, '(,)', '{(,)}', null, null, null, null, null, 'it''s'),
  (4, '{NULL,NULL}', E'{{"\\\\N","\\\\."}}', null, row('a,b(c)"d\e', '"', row(-1, array['x"y', 'x\y', 'x,y', '']), 'happy', 99), null, null, null,
    '(-infinity,infinity)', '{(,1),(2,)}', null, null, '{"it''s";NULL}', 'back\slash'),
  (5, null, null, null, null, null, null, null, null, null, null, null, null, null);

-- ## the rest: networks, geometry, identifiers, references by name
create table zoo.networks (i inet, c cidr, m macaddr, m8 macaddr8);
insert into zoo.networks values ('10.1.2.3/8', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05'), ('::ffff:1.2.3.4', '2001:db8::/32', null, null);
create table zoo.shapes (p point, l line, s lseg, b box, open_path path, closed_path path, g polygon, c circle);
insert into zoo.shapes values
  ('(1.1,-2.2)', '{1,-1,0}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1))', '((0,0),(1,1),(1,0))', '<(0,0),1>'),
  ('(nan,infinity)', null, null, null, null, null, null, '<(1e300,1e-300),0>');
create table zoo.identifiers (
  u uuid, o oid, x xid, x8 xid8, c cid, t tid, lsn pg_lsn, snap pg_snapshot, v oidvector, iv int2vector
);
insert into zoo.identifiers values
  ('00000000-0000-0000-0000-000000000000', 4294967295, '4294967295', '18446744073709551615', '1', '(4294967295,65535)', 'FFFFFFFF/FFFFFFFF', '10:20:10,14,15', '1 2 3', '-1 2');
create table zoo.references_by_name (
  class regclass, proc regproc, procedure regprocedure, oper regoper, operator regoperator, type regtype, role regrole, ns regnamespace,
  config regconfig, dictionary regdictionary, coll regcollation
);
insert into zoo.references_by_name values
  ('zoo.texts', 'zoo.hello', 'zoo.is_even(integer, zoo.even[])', 'zoo.##', 'zoo.<(zoo.label,zoo.label)', 'zoo.address[]', '"zoo élève"',
    '"Odd ""Schema"""', 'zoo."Copied Search"', 'zoo.no_stopwords', 'zoo."Case Blind"'),
  ('"Odd ""Schema"""."Table ""With"" ''Quotes'' and spaces"', null, null, null, null, '-', '-', null, null, null, null);
