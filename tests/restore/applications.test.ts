/** Databases of applications, restored: what their own tools say of them. The tools are real, from tests/applications. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { makeSite } from '../support/cli.ts';
import { freshDatabase, psql, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const APPLICATIONS = join(import.meta.dirname, '../applications');
/** The packages are not there when the types of this project are checked, so they are loaded without types. */
const load = createRequire(join(APPLICATIONS, 'package.json'));
type Untyped = ReturnType<typeof load>;

interface Tool {
  /** Makes its schema and rows in an empty database, as its application would. */
  build(url: string): Promise<void>;
  /** What the tool's own check finds to do or different; nothing if all is well. */
  differences(url: string): Promise<string[]>;
  /** Inserts as the application does, and returns the ids that it got. */
  insert(url: string): Promise<unknown[]>;
  /** What `insert` must return where the rows are those of `build`. */
  nextIds: unknown[];
  /** Others refer to it. */
  table: string;
  /** Changes its rows. */
  damage: string;
  /** All its rows, as SQL. */
  rows: string;
}

/** Backs up as an owner without superuser; after each kind of restore the tool must find what it found before. */
async function staysTheSame(t: TestContext, tool: Tool): Promise<void> {
  const shared = await server(15);
  const database = await freshDatabase(shared);
  const role = `owner_of_${database.name}`;
  const restored = `${database.name}_new`;
  t.after(async () => {
    await query(shared.url(), `drop database if exists ${restored} with (force)`);
    await database.drop();
    await query(shared.url(), `drop role ${role}`);
  });
  await query(shared.url(), `create role ${role} login createdb`);
  await query(shared.url(), `alter database ${database.name} owner to ${role}`);
  const asOwner = (name: string): string => shared.url(name).replace('postgres@', `${role}@`);
  const url = asOwner(database.name);
  await tool.build(url);
  assert.deepEqual(await tool.differences(url), []);
  const rows = await psql(url, ['-At', '-c', tool.rows]);
  const site = await makeSite({ shop: url });
  t.after(() => site.remove());
  const { snapshot } = await site.json<{ snapshot: string }>('backup', 'shop');

  await site.json('restore', snapshot, '--new', restored);
  assert.deepEqual(await tool.differences(asOwner(restored)), []);
  assert.equal(await psql(asOwner(restored), ['-At', '-c', tool.rows]), rows);
  assert.deepEqual(await tool.insert(asOwner(restored)), tool.nextIds);

  for (const damage of [tool.damage, `drop table ${tool.table} cascade`]) {
    await psql(url, ['-c', damage]);
    if (damage !== tool.damage) assert.notDeepEqual(await tool.differences(url).catch(String), []);
    else assert.notEqual(await psql(url, ['-At', '-c', tool.rows]), rows);
    await site.json('restore', snapshot, '--in-place', '--yes', '--table', tool.table);
    assert.deepEqual(await tool.differences(url), [], damage);
    assert.equal(await psql(url, ['-At', '-c', tool.rows]), rows, damage);
  }
  assert.deepEqual(await tool.insert(url), tool.nextIds);
}

test('Prisma finds nothing pending and nothing different in restored databases', async t => {
  const migrations = await mkdtemp(join(tmpdir(), 'tidemark-prisma-'));
  t.after(() => rm(migrations, { recursive: true, force: true }));
  const prisma = (url: string, ...args: string[]) =>
    runPrisma(args, { DATABASE_URL: url, MIGRATIONS: migrations });
  const add = async (name: string, sql: string): Promise<void> => {
    await mkdir(join(migrations, name));
    await writeFile(join(migrations, name, 'migration.sql'), sql);
  };
  await writeFile(join(migrations, 'migration_lock.toml'), 'provider = "postgresql"\n');
  await staysTheSame(t, {
    async build(url) {
      const first = await prisma(
        url,
        'migrate',
        'diff',
        '--from-empty',
        '--to-schema-datamodel',
        'schema.prisma',
        '--script',
      );
      assert.equal(first.code, 0, first.output);
      await add('20260101000000_first', first.output);
      await add(
        '20260102000000_by_hand',
        // A check constraint would end this engine in WebAssembly, whose adapter gives it no type "char".
        `create materialized view sums as select status, sum(total) from orders group by status;
        create unique index on sums(status); comment on table orders is 'of customers';`,
      );
      const deployed = await prisma(url, 'migrate', 'deploy');
      assert.equal(deployed.code, 0, deployed.output);
      await psql(
        url,
        [],
        `insert into "Customer"(id, email) select gen_random_uuid(), g || '@x.org' from generate_series(1, 3) g;
        insert into orders("customerId", status, total) select id, 'PAID', 5 from "Customer";
        insert into order_lines("orderId", number) select id, 1 from orders; refresh materialized view sums`,
      );
    },
    async differences(url) {
      const status = await prisma(url, 'migrate', 'status');
      // It can't compare a database directly with its engine in WebAssembly, but what it pulls from it.
      const pulled = await prisma(url, 'db', 'pull', '--print');
      const found = join(migrations, 'pulled.prisma');
      await writeFile(found, pulled.output.slice(Math.max(0, pulled.output.search(/^datasource db /m))));
      const sides = ['--from-schema-datamodel', found, '--to-schema-datamodel', 'schema.prisma'];
      const diff = await prisma(url, 'migrate', 'diff', ...sides, '--exit-code');
      return [status, pulled, diff].filter(({ code }) => code !== 0).map(({ output }) => output);
    },
    async insert(url) {
      const line = `with made as (insert into orders("customerId") select id from "Customer" where email = '1@x.org' returning id)
        insert into order_lines("orderId", number) select id, 1 from made returning "orderId", note`;
      // A key that refers to a row of the same statement is checked at its end.
      return query(url, line);
    },
    nextIds: [{ orderId: 4, note: `it's "quoted"` }],
    table: 'orders',
    damage: 'update orders set total = 9; insert into orders("customerId") select id from "Customer"',
    rows: 'select o, l, c, s from orders o join order_lines l on l."orderId" = o.id join "Customer" c on c.id = o."customerId" join sums s using (status) order by o.id',
  });
});

/** Its engine is in its package; it looks for another that only queries need, and that can't be had everywhere. */
async function runPrisma(
  args: string[],
  env: Record<string, string>,
): Promise<{ code: unknown; output: string }> {
  const program = join(APPLICATIONS, 'node_modules/prisma/build/index.js');
  const child = spawn(process.execPath, [program, ...args, '--config', 'prisma.config.mjs'], {
    cwd: APPLICATIONS,
    env: {
      ...{ PATH: process.env.PATH, HOME: env.MIGRATIONS, CI: '1', NO_COLOR: '1' },
      ...{ PRISMA_QUERY_ENGINE_LIBRARY: program, PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' },
      // Its timer for the lock would keep a deployment that is done waiting for ten seconds.
      PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK: '1',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, complaint, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { code, output: code === 0 ? output : output + complaint };
}

test('Drizzle finds nothing to push and no migration to run in restored databases', async t => {
  const { drizzle } = load('drizzle-orm/node-postgres');
  const { migrate } = load('drizzle-orm/node-postgres/migrator');
  const { generateDrizzleJson, generateMigration, pushSchema } = load('drizzle-kit/api');
  const { Pool } = load('pg');
  const migrations = await mkdtemp(join(tmpdir(), 'tidemark-drizzle-'));
  t.after(() => rm(migrations, { recursive: true, force: true }));
  const schema = drizzleSchema();
  const connected = async <T>(url: string, work: (db: Untyped) => Promise<T>): Promise<T> => {
    const pool = new Pool({ connectionString: url });
    try {
      return await work(drizzle(pool));
    } finally {
      await pool.end();
    }
  };
  await staysTheSame(t, {
    async build(url) {
      const statements = await generateMigration(generateDrizzleJson({}), generateDrizzleJson(schema));
      const entry = { idx: 0, version: '7', when: 1_780_000_000_000, tag: '0000_first', breakpoints: true };
      await mkdir(join(migrations, 'meta'));
      await writeFile(
        join(migrations, 'meta/_journal.json'),
        JSON.stringify({ version: '7', dialect: 'postgresql', entries: [entry] }),
      );
      await writeFile(join(migrations, '0000_first.sql'), statements.join('\n--> statement-breakpoint\n'));
      await connected(url, db => migrate(db, { migrationsFolder: migrations }));
      await connected(url, async db => {
        await db.insert(schema.people).values([{ email: 'a@x.org' }, { email: 'b@x.org', mood: 'sad' }]);
        await db.insert(schema.posts).values([{ author: 1 }, { author: 2, title: 'x', tags: ['a', 'b'] }]);
      });
    },
    differences: url =>
      connected(url, async db => {
        const applied = 'select count(*) from drizzle.__drizzle_migrations';
        await migrate(db, { migrationsFolder: migrations });
        const { rows } = await db.execute(applied);
        const { statementsToExecute } = await pushSchema(schema, db);
        return [...statementsToExecute, ...(rows[0].count === '1' ? [] : ['a migration ran again'])];
      }),
    insert: url =>
      connected(url, async db => {
        const [person] = await db.insert(schema.people).values({ email: 'c@x.org' }).returning();
        const [post] = await db.insert(schema.posts).values({ author: person.id }).returning();
        return [person.id, person.mood, post.number, post.title, post.tags];
      }),
    nextIds: [3, 'happy', 3, 'untitled', null],
    table: 'people',
    damage: `update people set mood = 'sad'; insert into people(email) values ('z@x.org')`,
    rows: 'select p, q, w from people p join posts q on q.author = p.id join writers w on w.id = p.id order by p.id',
  });
});

function drizzleSchema(): Untyped {
  const pg = load('drizzle-orm/pg-core');
  const { sql } = load('drizzle-orm');
  const mood = pg.pgEnum('mood', ['happy', 'sad']);
  const people = pg.pgTable(
    'people',
    {
      id: pg.serial('id').primaryKey(),
      email: pg.varchar('email', { length: 200 }).notNull().unique(),
      mood: mood('mood').notNull().default('happy'),
      profile: pg.jsonb('profile').notNull().default({ theme: 'dark' }),
      made: pg.timestamp('made', { withTimezone: true }).notNull().defaultNow(),
    },
    (t: Untyped) => [
      pg.index('people_by_mood').on(t.mood),
      pg.check('has an at', sql`${t.email} like '%@%'`),
    ],
  );
  const posts = pg.pgTable(
    'posts',
    {
      id: pg.uuid('id').primaryKey().defaultRandom(),
      number: pg.integer('number').generatedAlwaysAsIdentity(),
      author: pg
        .integer('author')
        .notNull()
        .references(() => people.id, { onDelete: 'cascade' }),
      title: pg.text('title').notNull().default('untitled'),
      tags: pg.text('tags').array(),
    },
    (t: Untyped) => [pg.uniqueIndex('posts_by_author').on(t.author, t.title)],
  );
  const writers = pg
    .pgView('writers')
    .as((qb: Untyped) => qb.select({ id: people.id, email: people.email }).from(people));
  return { mood, people, posts, writers };
}

test('Knex finds no migration pending in restored databases, and runs the next', async t => {
  const knex = load('knex');
  const connected = async <T>(
    url: string,
    names: string[],
    work: (db: Untyped) => Promise<T>,
  ): Promise<T> => {
    const migrationSource = {
      getMigrations: async () => names,
      getMigrationName: (name: string) => name,
      getMigration: async (name: string) => KNEX_MIGRATIONS[name]!,
    };
    const db = knex({ client: 'pg', connection: url, migrations: { migrationSource } });
    try {
      return await work(db);
    } finally {
      await db.destroy();
    }
  };
  const all = Object.keys(KNEX_MIGRATIONS);
  const released = all.slice(0, 2);
  await staysTheSame(t, {
    build: url =>
      connected(url, released, async db => {
        await db.migrate.latest();
        await db('accounts').insert([{ name: 'a' }, { name: 'b' }]);
        await db('entries').insert([{ account: 1 }, { account: 2, tags: ['x'] }]);
      }),
    async differences(url) {
      const described = await connected(url, released, async db => {
        const [completed, pending] = await db.migrate.list();
        const columns = await db('accounts').columnInfo();
        return { completed: completed.length, pending: pending.length, columns };
      });
      const { state, ...columns } = described.columns;
      const wanted = { completed: 2, pending: 0, names: ['id', 'made', 'name'], byDefault: `'open'::text` };
      const { completed, pending } = described;
      const found = {
        completed,
        pending,
        names: Object.keys(columns).sort(),
        byDefault: state?.defaultValue,
      };
      return JSON.stringify(found) === JSON.stringify(wanted) ? [] : [JSON.stringify(found)];
    },
    insert: url =>
      connected(url, all, async db => {
        const [, ran] = await db.migrate.latest();
        const [account] = await db('accounts').insert({ name: 'c' }).returning(['id', 'state', 'closed']);
        const [entry] = await db('entries').insert({ account: account.id }).returning(['id', 'tags']);
        await assert.rejects(db('entries').insert({ account: 99 }), /entries_account_foreign/);
        await assert.rejects(db('accounts').insert({ name: 'c' }), /accounts_name_unique/);
        await assert.rejects(db('accounts').insert({ name: 'd', state: 'odd' }), /accounts_state_check/);
        return [ran, account, entry];
      }),
    nextIds: [['3_closed'], { id: 3, state: 'open', closed: null }, { id: 3, tags: [] }],
    table: 'accounts',
    damage: `update accounts set name = name || name; insert into accounts(name) values ('z')`,
    rows: 'select a, e, o from accounts a join entries e on e.account = a.id join open_accounts o on o.id = a.id order by a.id',
  });
});

const KNEX_MIGRATIONS: Record<string, { up(db: Untyped): Promise<void>; down(): Promise<void> }> = {
  '1_accounts': {
    async up(db) {
      await db.schema.createTable('accounts', (t: Untyped) => {
        t.increments();
        t.string('name').notNullable().unique().comment('as written');
        t.enu('state', ['open', 'shut']).notNullable().defaultTo('open');
        t.timestamp('made').defaultTo(db.fn.now()).index();
        t.comment('of the ledger');
      });
    },
    async down() {},
  },
  '2_entries': {
    async up(db) {
      await db.schema.createTable('entries', (t: Untyped) => {
        t.increments();
        t.integer('account').notNullable().references('accounts.id').onDelete('CASCADE');
        t.specificType('tags', 'text[]').notNullable().defaultTo('{}');
        t.jsonb('more').defaultTo('{}');
      });
      await db.schema.createView('open_accounts', (v: Untyped) =>
        v.as(db('accounts').where('state', 'open')),
      );
    },
    async down() {},
  },
  '3_closed': {
    async up(db) {
      await db.schema.alterTable('accounts', (t: Untyped) => {
        t.date('closed');
        t.index(['state', 'name'], 'accounts by state');
      });
    },
    async down() {},
  },
};
