/** A schema in which a database's owner has put something of his own under every name that our SQL uses. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';

const SOURCES = join(import.meta.dirname, '../../src');

/** Types that operators of our statements take; those of PostgreSQL's own pseudo types can't be shadowed. */
const OPERAND_TYPES = [
  ...['text', 'name', 'oid', 'int4', 'int8', 'int2', 'bool', '"char"', 'text[]', 'oid[]', 'name[]', 'jsonb'],
  ...['regclass', 'varchar', 'timestamptz', 'numeric', 'float8', 'aclitem[]'],
];
const SHADOWED_TYPES = ['text', 'oid', 'int4', 'int8', 'bool', 'name', 'regclass', 'regtype', 'regrole'];
const SHADOWED_RELATIONS =
  'pg_class pg_namespace pg_attribute pg_roles pg_authid pg_database pg_settings pg_extension pg_constraint pg_trigger ' +
  'pg_depend pg_largeobject_metadata pg_proc pg_type pg_am pg_auth_members pg_stat_activity pg_locks';

/**
 * As the database's owner: functions, operators, types, a cast and relations in the schema, each of which counts that it
 * was used (a sequence is counted up whatever becomes of the transaction), tries to make the owner a superuser, and fails.
 */
export async function shadowEverything(url: string, schema: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query(
      `set search_path = pg_catalog; create schema if not exists ${schema}; create sequence ${schema}.uses;
       create function ${schema}.used() returns bool language plpgsql set search_path = pg_catalog as $$ begin
         perform pg_catalog.nextval('${schema}.uses');
         begin
           execute pg_catalog.format('alter role %I superuser', (select r.rolname from pg_catalog.pg_database d join pg_catalog.pg_roles r on r.oid = d.datdba where d.datname = pg_catalog.current_database()));
         exception when insufficient_privilege then null;
         end;
         raise 'something of the owner''s was run'; end $$`,
    );
    await client.query((await functions(client, schema)).join(';\n'));
    await client.query((await operators(client, schema)).join(';\n'));
    await client.query(typesAndRelations(schema).join(';\n'));
  } finally {
    await client.end();
  }
}

/** How often something of the schema was used. */
export async function uses(url: string, schema: string): Promise<number> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query('set search_path = pg_catalog');
    const { rows } = await client.query(`select last_value, is_called from ${schema}.uses`);
    return rows[0].is_called ? Number(rows[0].last_value) : 0;
  } finally {
    await client.end();
  }
}

/** Every function of PostgreSQL's own whose name is a word of our sources. */
async function functions(client: pg.Client, schema: string): Promise<string[]> {
  const { rows } = await client.query(
    `select distinct on (p.proname, p.proargtypes::text) pg_catalog.quote_ident(p.proname) as name,
       pg_catalog.oidvectortypes(p.proargtypes) as arguments, pg_catalog.format_type(p.prorettype, null) as result
     from pg_catalog.pg_proc p
     where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind in ('f', 'a', 'w') and p.proname = any ($1)
       and not exists (
         select 1 from pg_catalog.pg_type t
         where t.oid = any (p.proargtypes::oid[] || p.prorettype) and t.typtype = 'p' and t.typname not like 'any%' and t.typname <> 'record' or t.oid = any (p.proargtypes::oid[] || p.prorettype) and t.typname in ('any', 'record')
       )`,
    [ourWords()],
  );
  return rows.map(
    ({ name, arguments: types, result }) =>
      `create function ${schema}.${name}(${types}) returns ${result} language plpgsql as $$ begin perform ${schema}.used(); end $$`,
  );
}

function ourWords(): string[] {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter(
    file => /\.(ts|sql)$/.test(file) && !file.endsWith('.test.ts'),
  );
  const words = files.flatMap(
    file => readFileSync(join(SOURCES, file), 'utf8').match(/[a-z_][a-z0-9_]*/g) ?? [],
  );
  return [...new Set(words)];
}

async function operators(client: pg.Client, schema: string): Promise<string[]> {
  const { rows } = await client.query(
    `select o.oprname as name, pg_catalog.format_type(o.oprleft, null) as left, pg_catalog.format_type(o.oprright, null) as right,
       pg_catalog.format_type(o.oprresult, null) as result
     from pg_catalog.pg_operator o
     where o.oprkind = 'b' and o.oprnamespace = 'pg_catalog'::regnamespace and o.oprleft = any ($1::text[]::regtype[]) and o.oprright = any ($1::text[]::regtype[])`,
    [OPERAND_TYPES],
  );
  return rows.flatMap(({ name, left, right, result }, i) => [
    `create function ${schema}.operator_${i}(${left}, ${right}) returns ${result} language plpgsql as $$ begin perform ${schema}.used(); end $$`,
    `create operator ${schema}.${name} (leftarg = ${left}, rightarg = ${right}, function = ${schema}.operator_${i})`,
  ]);
}

function typesAndRelations(schema: string): string[] {
  return [
    ...SHADOWED_TYPES.map(
      type => `create domain ${schema}.${type} as pg_catalog.${type} check (${schema}.used())`,
    ),
    ...SHADOWED_RELATIONS.split(' ').map(
      name =>
        `create view ${schema}.${name} as select ${schema}.used() as used, c.* from pg_catalog.pg_class c where ${schema}.used()`,
    ),
    `create type ${schema}.pair as (a pg_catalog.int4, b pg_catalog.int4)`,
    `create function ${schema}.pair_as_text(${schema}.pair) returns pg_catalog.text language plpgsql as $$ begin perform ${schema}.used(); end $$`,
    `create cast (${schema}.pair as pg_catalog.text) with function ${schema}.pair_as_text(${schema}.pair) as implicit`,
  ];
}
