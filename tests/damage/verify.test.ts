/** What verify makes of snapshots that are sealed properly and yet say what is not so, and how the command tells it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SILENT } from '../../src/base/progress.ts';
import type { SourceFacts } from '../../src/capture/logical/part.ts';
import { backupDatabase } from '../../src/operations/backup/backup.ts';
import { type VerifyResult, verify } from '../../src/operations/verify/verify.ts';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import type { Secret } from '../../src/repository/keys/slots.ts';
import { type Manifest, newSessionId, type PartRecord } from '../../src/repository/manifest.ts';
import { readParts } from '../../src/repository/read/parts.ts';
import { SnapshotReader } from '../../src/repository/read/reader.ts';
import { Repository } from '../../src/repository/repository.ts';
import { ChunkWriter } from '../../src/repository/write/chunkWriter.ts';
import { PackAssembler } from '../../src/repository/write/packAssembler.ts';
import { PackWriter } from '../../src/repository/write/packWriter.ts';
import { openStorage } from '../../src/storage/index.ts';
import { loadStrategy } from '../../src/strategy/load.ts';
import { type Database, freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const TIDEMARK = join(import.meta.dirname, '../../bin/tidemark');
const folder = mkdtempSync(join(tmpdir(), 'tidemark-verify-'));
const config = join(folder, 'tidemark.yaml');
const key: Secret = { kind: 'key', text: newKeyText(), where: 'the test' };
const signal = new AbortController().signal;
let repository: Repository;
let database: Database;
let sound: Manifest;
let parts: PartRecord[];

before(async () => {
  database = await freshDatabase(await server(15));
  await query(database.url, SCHEMA);
  writeFileSync(join(folder, 'key'), key.text);
  writeFileSync(
    config,
    `databases:\n  shop:\n    url: ${JSON.stringify(database.url)}\n` +
      `repositories:\n  primary:\n    storage: ${join(folder, 'repository')}\n    key: { file: ${join(folder, 'key')} }\n`,
  );
  const storage = await openStorage({ spec: { kind: 'local', path: join(folder, 'repository') } });
  repository = await Repository.create(storage, key, new Date());
  sound = await repository.manifest(await backUp());
  const reader = new SnapshotReader(storage, repository.keys, sound, { verifyIds: true });
  parts = await readParts(reader, sound);
});

after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await database.drop();
});

const SCHEMA = `
  create table items (id int, note text);
  insert into items select i, E'two\\nlines and a tab\\t' || i from generate_series(1, 5000) i;
  create table orders (id int);
  insert into orders select generate_series(1, 10);
  create table none (id int);
  select lo_from_bytea(0, decode(repeat('0a', 300000), 'hex')), lo_creat(-1);`;

async function backUp(): Promise<string> {
  const strategy = await loadStrategy(config, process.env, { secrets: 'required' });
  const options = { schemaOnly: false, dataOnly: false, rolePasswords: null, jobs: 2, version: 'test' };
  return (await backupDatabase(strategy, 'shop', null, { ...options, reporter: SILENT, signal })).snapshot;
}

async function verified(...given: string[]): Promise<VerifyResult> {
  const strategy = await loadStrategy(config, process.env, { secrets: 'required' });
  return verify({ strategy, given, all: false, reporter: SILENT, signal });
}

/** A snapshot like the sound one but for its list of parts and what else is given. */
async function fabricate(lines: PartRecord[], change: Partial<Manifest> = {}): Promise<string> {
  const snapshot = newSessionId(new Date());
  const sessionSalt = randomBytes(16);
  const assembler = new PackAssembler(repository.storage, snapshot);
  const writer = new ChunkWriter(
    new PackWriter({
      keys: repository.keys.current,
      session: snapshot,
      sessionSalt,
      level: 1,
      content: 'any',
      nextPack: () => 1,
      output: assembler,
    }),
  );
  writer.begin();
  writer.appendStream(Buffer.from(lines.map(part => `${JSON.stringify(part)}\n`).join('')));
  const { ref } = writer.finish('stream');
  writer.flush();
  await assembler.finish();
  await repository.commit({
    ...sound,
    snapshot,
    sessions: { ...sound.sessions, [snapshot]: sessionSalt.toString('hex') },
    packs: [...sound.packs, [snapshot, 1, assembler.sizes.get(1)!]],
    streams: { ...sound.streams, parts: ref },
    ...change,
  });
  return snapshot;
}

async function faultsOf(id: string): Promise<[code: string, tables: string[]][]> {
  const { ok, faults, snapshots } = await verified(id);
  await repository.storage.remove(`snapshots/${id}`);
  assert.equal(ok, faults.length === 0);
  assert.deepEqual(
    snapshots.map(each => [each.snapshot, each.ok]),
    [[id, ok]],
  );
  return faults.map(({ code, tables }) => [code, tables]);
}

const isOf = ({ group }: PartRecord, name: string) => group === `rows "public"."${name}"`;
const table = (name: string) => parts.find(part => isOf(part, name))!;
const changed = (name: string, change: Partial<PartRecord>) =>
  parts.map(part => (isOf(part, name) ? ({ ...part, ...change } as PartRecord) : part));

test('rows are counted, line ends in values are none', async () => {
  const { ok, snapshots } = await verified();
  assert.ok(ok);
  assert.deepEqual(
    snapshots.map(({ tables, rows }) => [tables, rows]),
    [[3, 5010]],
  );
});

test('the same parts in another order are the same', async () => {
  assert.deepEqual(await faultsOf(await fabricate(parts.toReversed())), []);
});

test('rows and bytes that are not there', async () => {
  const { rows, bytes } = table('items');
  const facts = sound.source as SourceFacts;
  const counts = (change: object) => ({ counts: { ...sound.counts, ...change } });
  const source = (change: object) => ({ source: { ...sound.source, ...change } });
  const more = await fabricate(changed('items', { rows: rows + 1 }), source({ rows: facts.rows + 1 }));
  assert.deepEqual(await faultsOf(more), [['ROWS_WRONG', ['public.items']]]);
  const shorter = (await faultsOf(await fabricate(changed('items', { bytes: bytes - 1 })))).map(
    ([code]) => code,
  );
  assert.ok(shorter.includes('BYTES_WRONG'));
  for (const name of ['parts', 'bytesRead', 'chunks'] as const) {
    const id = await fabricate(parts, counts({ [name]: sound.counts[name] + 1 }));
    assert.deepEqual(await faultsOf(id), [['COUNTS_WRONG', []]], name);
  }
  for (const name of ['rows', 'tables', 'largeObjects'] as const) {
    const id = await fabricate(parts, source({ [name]: facts[name] + 1 }));
    assert.deepEqual(await faultsOf(id), [['COUNTS_WRONG', []]], name);
  }
});

test('tables without parts, parts without tables, and page ranges with gaps', async () => {
  const codes = async (lines: PartRecord[]) =>
    (await faultsOf(await fabricate(lines))).filter(([code]) => code !== 'COUNTS_WRONG');
  assert.deepEqual(await codes(parts.filter(part => !isOf(part, 'none'))), [
    ['ROWS_MISSING', ['public."none"']],
  ]);
  assert.deepEqual(await codes(parts.filter(part => part.group !== 'large objects')), [
    ['ROWS_MISSING', ['large objects']],
  ]);
  assert.deepEqual(await codes(changed('orders', { facts: { ...table('orders').facts, oid: '1' } })), [
    ['PART_STRAY', ['public.orders']],
    ['ROWS_MISSING', ['public.orders']],
  ]);
  assert.deepEqual(await codes(changed('items', { to: 10 })), [['ROWS_MISSING', ['public.items']]]);
  assert.deepEqual(await codes(changed('items', { from: 1 })), [['ROWS_MISSING', ['public.items']]]);
  assert.deepEqual(await codes([...parts, table('items')]), [['ROWS_MISSING', ['public.items']]]);
});

test('a chunk list of one table in place of another’s', async () => {
  const other = table('orders');
  const ref = 'at' in other ? { at: other.at, list: undefined } : { list: other.list, at: undefined };
  const lines = changed('items', ref as Partial<PartRecord>);
  const tables = new Map(await faultsOf(await fabricate(lines)));
  assert.deepEqual(tables.get('ROWS_WRONG'), ['public.items']);
  assert.deepEqual(tables.get('BYTES_WRONG'), ['public.items']);
});

test('a pack that the manifest does not name would be collected', async () => {
  const packs = sound.packs.slice(1);
  const id = await fabricate(parts, { packs, sessions: sound.sessions });
  const codes = (await faultsOf(id)).map(([code]) => code);
  assert.ok(codes.includes('PACK_UNNAMED'), codes.join());
});

test('the command tells what is wrong on standard output, and by exit code 3', async () => {
  const run = (...args: string[]) =>
    spawnSync(TIDEMARK, ['verify', '--config', config, ...args], { encoding: 'utf8' });
  const good = run('--json');
  assert.equal(good.status, 0, good.stderr);
  const result = JSON.parse(good.stdout) as VerifyResult;
  assert.deepEqual([result.ok, result.faults], [true, []]);
  assert.ok(result.objects >= 4 && result.bytesRead > 0 && result.seconds > 0);
  assert.match(run('shop', '--all').stderr, /OPTIONS_CONTRADICT/);
  assert.equal(run('20990101').status, 2);

  const other = await backUp();
  const place = join(folder, 'repository/packs', sound.snapshot);
  const largest = readdirSync(place)
    .map(name => join(place, name))
    .sort((a, b) => statSync(a).size - statSync(b).size)
    .at(-1)!;
  rmSync(largest);
  for (const args of [[], [sound.snapshot], ['--all'], ['shop']]) {
    const bad = run(...args);
    assert.equal(bad.status, 3, bad.stderr);
    assert.match(bad.stdout, /fault: .*packs\/.*OBJECT_MISSING/);
    assert.match(bad.stdout, /affects .*public\.items/);
    assert.match(bad.stdout, /DAMAGED/);
  }
  const bad = JSON.parse(run('--all', '--json').stdout) as VerifyResult;
  assert.equal(bad.ok, false);
  assert.deepEqual(bad.faults[0]!.snapshots, [sound.snapshot, other].sort());
});
