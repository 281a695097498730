-- Objects with names, kinds and settings that a table of contents seldom has. For tests; runs on PostgreSQL 15 to 18
-- in a database of any encoding. The role odd_reader must exist.
CREATE SCHEMA "Odd ""schema""";
CREATE TABLE "Odd ""schema"""."a
b" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "x""y" text DEFAULT 'it''s', "%s" numeric CHECK ("%s" > 0),
  twice numeric GENERATED ALWAYS AS ("%s" * 2) STORED);
COMMENT ON TABLE "Odd ""schema"""."a
b" IS E'two\nlines \\ and ''quotes''';
COMMENT ON COLUMN "Odd ""schema"""."a
b"."x""y" IS '-- not a comment';
INSERT INTO "Odd ""schema"""."a
b" ("x""y", "%s") SELECT 'row ' || i, i FROM generate_series(1, 1000) AS i;
CREATE TABLE no_columns ();
CREATE TABLE empty (n int);
CREATE TABLE measured (at date NOT NULL, value int) PARTITION BY RANGE (at);
CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE measured_rest PARTITION OF measured DEFAULT;
INSERT INTO measured VALUES ('2025-05-05', 1), ('2030-01-01', 2);
CREATE TABLE child (extra text) INHERITS (empty);
CREATE MATERIALIZED VIEW sums AS SELECT at, sum(value) FROM measured GROUP BY at;
CREATE UNIQUE INDEX "index of sums" ON sums (at);
CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"');
CREATE FUNCTION answer(a int DEFAULT 42) RETURNS int LANGUAGE sql AS $body$ SELECT a -- $$
$body$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON empty FOR EACH ROW EXECUTE FUNCTION touch();
CREATE VIEW "a view" AS SELECT answer() AS answer;
CREATE SEQUENCE counter START 7 INCREMENT -2 MINVALUE -100 MAXVALUE 100;
SELECT nextval('counter'), nextval('counter');
CREATE TABLE secret (owner name DEFAULT current_user, note text);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secret USING (owner = current_user);
GRANT SELECT (note) ON secret TO odd_reader;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO odd_reader;
CREATE PUBLICATION changes FOR TABLE empty;
SELECT lo_from_bytea(5001, 'hello'), lo_from_bytea(5002, '\x00ff'), lo_from_bytea(5003, '');
GRANT SELECT ON LARGE OBJECT 5002 TO odd_reader;
COMMENT ON LARGE OBJECT 5001 IS 'a greeting';
