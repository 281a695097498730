-- A database with a bit of everything that a dump has to carry. Run by psql with ON_ERROR_STOP; no parameters.
-- Roles alice, reader and "Bob ""the"" Ünïcode" and tablespace odd_space must exist.
SET client_min_messages = warning;
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE SCHEMA app AUTHORIZATION alice;
CREATE SCHEMA "Odd. ""Schema"" ü";
COMMENT ON SCHEMA app IS E'two\nlines; -- and a \\restrict';
GRANT USAGE ON SCHEMA app TO reader;
GRANT USAGE ON SCHEMA "Odd. ""Schema"" ü" TO "Bob ""the"" Ünïcode" WITH GRANT OPTION;

CREATE TYPE app.mood AS ENUM ('sad', 'it''s ok', 'happy');
ALTER TYPE app.mood OWNER TO alice;
CREATE TYPE app.pair AS (a integer, b text);
CREATE TYPE app.floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE DOMAIN app.positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN app.small AS app.positive CONSTRAINT small_max CHECK (VALUE < 100);
CREATE DOMAIN app.late AS text;
CREATE COLLATION app.german (provider = icu, locale = 'de');
CREATE FUNCTION app.is_fine(app.mood) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1 <> 'sad' $$;
CREATE FUNCTION app.next_code(prefix text DEFAULT 'x;y') RETURNS text LANGUAGE plpgsql AS $f$
BEGIN
  RETURN prefix || nextval('app.code_seq');
END $f$;
CREATE PROCEDURE app.nothing(INOUT i integer) LANGUAGE plpgsql AS 'BEGIN i := i; END';
CREATE AGGREGATE app.total(integer) (sfunc = int4pl, stype = integer, initcond = '0');
CREATE OPERATOR app.<<<> (leftarg = integer, rightarg = integer, function = int4ne);
CREATE FUNCTION app.mood_number(app.mood) RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 1 $$;
CREATE CAST (app.mood AS integer) WITH FUNCTION app.mood_number(app.mood);
CREATE TEXT SEARCH CONFIGURATION app.plain_english (COPY = pg_catalog.english);
CREATE SEQUENCE app.code_seq INCREMENT 7 CYCLE MAXVALUE 700;
ALTER SEQUENCE app.code_seq OWNER TO alice;
SELECT setval('app.code_seq', 21, false);

CREATE TABLE app.customer (
  id bigint GENERATED ALWAYS AS IDENTITY (START 1000) PRIMARY KEY,
  email citext UNIQUE NOT NULL,
  code text DEFAULT app.next_code() CHECK (code <> ''),
  mood app.mood DEFAULT 'happy' CHECK (app.is_fine(mood)),
  age app.small,
  dropped integer,
  attributes hstore,
  shout text GENERATED ALWAYS AS (upper(code)) STORED,
  location app.pair,
  name text COLLATE app.german
);
ALTER TABLE app.customer DROP COLUMN dropped;
ALTER TABLE app.customer OWNER TO alice;
ALTER TABLE app.customer ALTER COLUMN name SET STATISTICS 200, ALTER COLUMN attributes SET STORAGE external;
ALTER TABLE app.customer SET (fillfactor = 70, toast.autovacuum_enabled = false);
COMMENT ON TABLE app.customer IS 'customers';
COMMENT ON COLUMN app.customer.email IS $$'quoted' \. $$;
COMMENT ON CONSTRAINT customer_pkey ON app.customer IS 'the key';
GRANT SELECT ON app.customer TO reader;
GRANT UPDATE (email, name) ON app.customer TO "Bob ""the"" Ünïcode";
CREATE INDEX customer_lower ON app.customer (lower(name)) INCLUDE (age) WHERE age > 3;
COMMENT ON INDEX app.customer_lower IS 'an index';
ALTER TABLE app.customer CLUSTER ON customer_pkey;
CREATE STATISTICS app.customer_stats (dependencies) ON age, name FROM app.customer;
INSERT INTO app.customer (email, code, mood, age, attributes, location, name)
  SELECT 'U' || i || '@x', CASE WHEN i % 5 > 0 THEN 'c' || i END, 'happy', i % 98 + 1, hstore('k"' || i, NULL),
    ROW(i, 'x,"' || i)::app.pair, CASE WHEN i % 3 = 0 THEN NULL WHEN i % 3 = 1 THEN '' ELSE 'Ünï ' || i END
  FROM generate_series(1, 400) i;

CREATE TABLE app.orders (
  id serial PRIMARY KEY,
  customer bigint REFERENCES app.customer DEFERRABLE,
  last_item integer,
  during tstzrange,
  EXCLUDE USING gist (during WITH &&)
);
CREATE TABLE app.item (
  id serial PRIMARY KEY,
  orders integer REFERENCES app.orders ON DELETE CASCADE,
  twin integer REFERENCES app.item
);
ALTER TABLE app.orders ADD CONSTRAINT circle FOREIGN KEY (last_item) REFERENCES app.item;
ALTER TABLE app.item ADD CONSTRAINT later CHECK (id < 1000000) NOT VALID;
ALTER DOMAIN app.late ADD CONSTRAINT late_check CHECK (VALUE <> 'no') NOT VALID;
INSERT INTO app.orders (customer) SELECT 1000 + i % 10 FROM generate_series(1, 50) i;
INSERT INTO app.item (orders, twin) SELECT i % 50 + 1, i FROM generate_series(1, 80) i;
UPDATE app.orders SET last_item = id;

-- Partitions: by range, then by list, with a default; by hash over an enum, which is loaded through its root.
CREATE TABLE app.event (at date NOT NULL, kind text NOT NULL, body text, ref integer REFERENCES app.item,
  PRIMARY KEY (at, kind)) PARTITION BY RANGE (at);
CREATE TABLE app.event_2023 PARTITION OF app.event FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')
  PARTITION BY LIST (kind);
CREATE TABLE app.event_2023_a (body text, kind text NOT NULL, ref integer, at date NOT NULL);
ALTER TABLE app.event_2023 ATTACH PARTITION app.event_2023_a FOR VALUES IN ('a');
CREATE TABLE app.event_2023_rest PARTITION OF app.event_2023 DEFAULT TABLESPACE odd_space;
CREATE TABLE app.event_2024 PARTITION OF app.event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE INDEX event_body ON app.event (body);
CREATE INDEX event_2024_only ON app.event_2024 (kind);
INSERT INTO app.event SELECT '2023-06-01'::date + i, CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END, repeat('x', i), i % 80 + 1
  FROM generate_series(1, 300) i;
CREATE TABLE app.by_mood (mood app.mood, n integer) PARTITION BY HASH (mood);
CREATE TABLE app.by_mood_0 PARTITION OF app.by_mood FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.by_mood_1 PARTITION OF app.by_mood FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO app.by_mood SELECT m, 1 FROM unnest(enum_range(NULL::app.mood)) m;

CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch_event BEFORE INSERT ON app.event FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE TRIGGER "Touch it" BEFORE UPDATE OF name ON app.customer FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.customer DISABLE TRIGGER "Touch it";
COMMENT ON TRIGGER "Touch it" ON app.customer IS 'off';
CREATE CONSTRAINT TRIGGER checked AFTER INSERT ON app.item FROM app.orders DEFERRABLE
  FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON app.orders FOR SELECT TO reader USING (customer IN (SELECT id FROM app.customer));
COMMENT ON POLICY mine ON app.orders IS 'rows of one';
CREATE RULE no_delete AS ON DELETE TO app.item DO INSTEAD SELECT count(*) FROM app.customer;

CREATE VIEW app.grouped AS SELECT c.id, c.email, count(*) FROM app.customer c JOIN app.orders o ON o.customer = c.id
  GROUP BY c.id;
CREATE MATERIALIZED VIEW app.top AS SELECT id, count FROM app.grouped WITH DATA;
CREATE UNIQUE INDEX top_id ON app.top (id);
CREATE MATERIALIZED VIEW app.a_top_of_top AS SELECT max(count) AS most FROM app.top;
CREATE MATERIALIZED VIEW app.never AS SELECT 1 AS one WITH NO DATA;
GRANT SELECT ON app.a_top_of_top TO reader;

CREATE TABLE "Odd. ""Schema"" ü"."Tab/le ""x"" ü" ("Col, ""1""" text, "sel.ect" text, "ü" bytea, "order" double precision);
COMMENT ON TABLE "Odd. ""Schema"" ü"."Tab/le ""x"" ü" IS 'line
break';
INSERT INTO "Odd. ""Schema"" ü"."Tab/le ""x"" ü" VALUES
  (NULL, '', '\x', 'NaN'), ('\N', '\.', '\x005c0a09', '-0'), (E'tab\t nl\n cr\r bs\\ \b\f\v', E'\\', '\xff', 'Infinity'),
  ('"', ',', NULL, 1.1), (E'a"b,c\nd', ' x ', '\x5c2e', 0.1::float8 + 0.2), (repeat(E'q"\n', 5000), E'\r', '\x0d0a', 1e-300);
CREATE TABLE "Odd. ""Schema"" ü".one_column (v text);
INSERT INTO "Odd. ""Schema"" ü".one_column VALUES ('\.'), (''), (NULL), ('\N'), (E'\n\\.\n'), ('\restrict x');
CREATE TABLE "Odd. ""Schema"" ü"."ONE_COLUMN" (v text);
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 3);
CREATE TABLE only_generated (one integer GENERATED ALWAYS AS (1) STORED);
INSERT INTO only_generated DEFAULT VALUES;
INSERT INTO only_generated DEFAULT VALUES;
CREATE TABLE base (a integer DEFAULT 3, b text);
CREATE TABLE derived (c integer) INHERITS (base);
ALTER TABLE derived ALTER a SET DEFAULT 4;
INSERT INTO base VALUES (1, 'base');
INSERT INTO derived VALUES (2, 'derived', 3);
CREATE UNLOGGED TABLE fleeting (a integer);
INSERT INTO fleeting VALUES (1);
CREATE TABLE elsewhere (a integer, b text) TABLESPACE odd_space;
CREATE INDEX elsewhere_a ON elsewhere (a) TABLESPACE odd_space;
INSERT INTO elsewhere SELECT i, md5(i::text) || repeat(md5((i * 7)::text), 20) FROM generate_series(1, 3000) i;
CREATE TABLE "a" (id integer PRIMARY KEY);
CREATE TABLE "a b" (id integer PRIMARY KEY, up integer);
ALTER TABLE "a b" ADD CONSTRAINT "c" FOREIGN KEY (up) REFERENCES "a";
ALTER TABLE "a" ADD CONSTRAINT "b c" FOREIGN KEY (id) REFERENCES "a b" NOT VALID;

CREATE FOREIGN DATA WRAPPER odd_wrapper;
CREATE SERVER odd_server FOREIGN DATA WRAPPER odd_wrapper OPTIONS (host 'x');
CREATE USER MAPPING FOR alice SERVER odd_server OPTIONS (password 'se''cret');
CREATE FOREIGN TABLE far (a integer) SERVER odd_server;
CREATE PUBLICATION odd_publication FOR TABLE app.customer (id, email) WHERE (id > 3);
CREATE PUBLICATION odd_schema FOR TABLES IN SCHEMA "Odd. ""Schema"" ü";
CREATE SUBSCRIPTION odd_subscription CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE);
ALTER DEFAULT PRIVILEGES FOR ROLE alice IN SCHEMA app GRANT SELECT ON TABLES TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE alice REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
COMMENT ON SCHEMA public IS 'changed';
REVOKE ALL ON FUNCTION app.touch() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO reader;

SELECT lo_create(100001), lo_create(3000000001);
SELECT lo_from_bytea(100002, decode(string_agg(md5(i::text), ''), 'hex')) FROM generate_series(1, 4000) i;
SELECT lo_from_bytea(100003, repeat('z', 32768)::bytea), lo_put(100003, 300000, '\xdeadbeef');
ALTER LARGE OBJECT 100002 OWNER TO alice;
GRANT SELECT ON LARGE OBJECT 100002 TO reader;
COMMENT ON LARGE OBJECT 100003 IS 'with a hole';
CREATE FUNCTION app.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'ddl'; END $$;
CREATE EVENT TRIGGER odd_ddl ON ddl_command_end EXECUTE FUNCTION app.on_ddl();
COMMENT ON EVENT TRIGGER odd_ddl IS 'watches';
