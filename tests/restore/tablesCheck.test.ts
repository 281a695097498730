/** What a table restore would lose on its way is seen before it is committed, and nothing is changed then. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SILENT } from '../../src/base/progress.ts';
import { openSnapshot } from '../../src/operations/open/openSnapshot.ts';
import type { RestoreRequest } from '../../src/operations/restore/request.ts';
import { readProfile } from '../../src/operations/restore/roles.ts';
import { beginTablesCheck } from '../../src/operations/restore/tablesCheck.ts';
import { anyPattern } from '../../src/postgres/archive/pattern.ts';
import { selectEntries } from '../../src/postgres/archive/select.ts';
import { Session } from '../../src/postgres/session.ts';
import { resolveSettings } from '../../src/postgres/settings/settings.ts';
import { Repository } from '../../src/repository/repository.ts';
import { type CheckResult, RestoreDiffers } from '../../src/restore/check/result.ts';
import type { Deviation } from '../../src/restore/deviation.ts';
import { LocalStorage } from '../../src/storage/local/storage.ts';
import { makeSite, type Site } from '../support/cli.ts';
import { type Database, freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const SHOP = `
  create table people (id int primary key, name text);
  create table orders (id serial primary key, person int references people, note text default 'x');
  comment on constraint orders_person_fkey on orders is 'whose';
  comment on table people is 'all of them';
  create function fire() returns trigger language plpgsql as $$ begin return null; end $$;
  create trigger always after insert on orders for each row execute function fire();
  alter table orders enable always trigger always;
  create view names as select name from people;
  create index orders_note on orders (note);
  insert into people select i, 'n' || i from generate_series(1, 5) i;
  insert into orders (person) select i from generate_series(1, 5) i;`;

/** What a restore of `orders` might do wrong to what is there: statement, and what is reported. */
const WRONGS: [what: string, sql: string, object: RegExp][] = [
  [
    'comment on a foreign key',
    'comment on constraint orders_person_fkey on orders is null',
    /^COMMENT public.CONSTRAINT orders_person_fkey/,
  ],
  ['foreign key', 'alter table orders drop constraint orders_person_fkey', /orders_person_fkey/],
  ['OWNED BY', 'alter sequence orders_id_seq owned by none', /orders/],
  [
    'trigger that is enabled in another way',
    'alter table orders enable trigger always',
    /^TRIGGER public.orders always$/,
  ],
  ['trigger that stays disabled', 'alter table orders disable trigger all', /^TRIGGER|orders/],
  ['definition of another table', 'alter table people alter name set not null', /^TABLE public.people$/],
  ['another table', 'drop table people cascade', /people|names|orders_person_fkey/],
  ['a thing too many', 'create table left_over (a int)', /^TABLE public.left_over$/],
  ['privilege too many', 'grant select on people to public', /^ACL public.TABLE people$/],
  ['value of its sequence', "select setval('orders_id_seq', 77)", /^SEQUENCE SET public.orders_id_seq$/],
];

let site: Site;
let database: Database;
let request: RestoreRequest;

before(async () => {
  const shared = await server(15);
  database = await freshDatabase(shared);
  await query(database.url, SHOP);
  site = await makeSite({ shop: database.url });
  await site.json('backup', 'shop');
  const { snapshots } = await site.json<{ snapshots: { snapshot: string }[] }>('list');
  const storage = new LocalStorage(join(site.folder, 'repository'));
  const text = readFileSync(join(site.folder, 'tidemark.key'), 'utf8').trim();
  const repository = await Repository.open(storage, { kind: 'key', text, where: 'the test' });
  request = {
    snapshot: await openSnapshot(repository, snapshots[0]!.snapshot),
    storage: { spec: { kind: 'local', path: join(site.folder, 'repository') } },
    target: {
      kind: 'to',
      settings: await resolveSettings({ url: database.url }, {}, homedir()),
      clean: false,
    },
    ...{ tables: ['orders'], only: undefined, roles: false, owner: true, privileges: true },
    ...{ tablespaces: true, jobs: 1, check: 'definitions' },
    ...{ reporter: SILENT, signal: new AbortController().signal, confirm: async () => true },
  };
});
after(() => site.remove());

/** The check around work that is done instead of a restore of `orders`, and rolled back. */
async function checked(sql: string, first = '', deviations: Deviation[] = []): Promise<CheckResult> {
  const session = await Session.open(await resolveSettings({ url: database.url }, {}, homedir()));
  try {
    const profile = await readProfile(session, request.snapshot.archive);
    const selected = selectEntries(request.snapshot.archive, { tables: anyPattern(request.tables) });
    await session.run(`BEGIN; SET search_path = public; ${first}`);
    const begun = await beginTablesCheck({ ...request, deviations }, selected, session, profile);
    await session.run(`SET search_path = public; ${sql}`);
    return await begun.finish({ entries: selected.entries, sequencesGone: [] }, [
      { name: 'public.orders', rows: 5 },
    ]);
  } finally {
    await session.close();
  }
}

test('rows that are replaced differ in nothing', async () => {
  const check = await checked('truncate orders; insert into orders (id, person) select id, id from people');
  assert.ok(check.objects > 10, String(check.objects));
  const { check: whole } = await site.json<{ check: CheckResult }>(
    ...['restore', 'shop', '--to', database.url, '--table', 'orders', '--yes'],
  );
  assert.deepEqual([whole.level, whole.differences, whole.unchecked], ['definitions', [], []]);
});

for (const [what, sql, object] of WRONGS) {
  test(`is seen: ${what}`, async () => {
    await assert.rejects(checked(sql), error => {
      assert.ok(error instanceof RestoreDiffers);
      for (const difference of error.check.differences) assert.match(difference.object, object);
      return true;
    });
  });
}

test('a table that was missing comes with all that is its own', async () => {
  const first = 'drop table orders;';
  const bare = 'create table orders (id int primary key, person int, note text);';
  await assert.rejects(checked(bare, first), error => {
    assert.ok(error instanceof RestoreDiffers);
    const objects = error.check.differences.map(each => each.object).join('\n');
    for (const lost of [
      /^TABLE public.orders$/m,
      /^SEQUENCE public.orders_id_seq$/m,
      /^INDEX public.orders_note$/m,
      /^TRIGGER public.orders always$/m,
    ])
      assert.match(objects, lost);
    return true;
  });
  await assert.rejects(checked('select', first), { code: 'RESTORE_DIFFERS' });
  // What was told of one object excuses that, and nothing that its words name.
  const entry = request.snapshot.archive.entries.find(
    ({ desc, tag }) => desc === 'TABLE' && tag === 'orders',
  )!;
  const told: Deviation[] = [{ kind: 'refused', entry, reason: 'SEQUENCE public.orders_id_seq is missing' }];
  await assert.rejects(checked('select', first, told), error => {
    assert.ok(error instanceof RestoreDiffers);
    const objects = error.check.differences.map(each => each.object);
    assert.ok(objects.includes('SEQUENCE public.orders_id_seq'), objects.join());
    assert.ok(!objects.includes('TABLE public.orders'), objects.join());
    return true;
  });
});
