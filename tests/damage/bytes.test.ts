/**
 * Damages every kind of object of a real repository in every way that storage and its owner can, one at a time: verify
 * must find it, and whoever reads must be refused or get exactly the bytes that were stored.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { TidemarkError } from '../../src/base/errors.ts';
import { SILENT } from '../../src/base/progress.ts';
import { backupDatabase } from '../../src/operations/backup/backup.ts';
import { openSnapshot } from '../../src/operations/open/openSnapshot.ts';
import { type VerifyResult, verify } from '../../src/operations/verify/verify.ts';
import {
  openDirectory,
  PACK_TRAILER_BYTES,
  type PlacedSegment,
  parseTrailer,
} from '../../src/repository/format/pack.ts';
import { packName } from '../../src/repository/format/packName.ts';
import { SEGMENT_KIND } from '../../src/repository/format/seal.ts';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import { plainObject, type Secret, wrapKey } from '../../src/repository/keys/slots.ts';
import type { Manifest } from '../../src/repository/manifest.ts';
import { Repository } from '../../src/repository/repository.ts';
import { random } from '../../src/repository/testing/sample.ts';
import { openStorage } from '../../src/storage/index.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { loadStrategy } from '../../src/strategy/load.ts';
import { freshDatabase, query } from '../support/databases.ts';
import { server } from '../support/servers.ts';

const seed = Number(process.env.TIDEMARK_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`seed: run again with TIDEMARK_SEED=${seed}`);
const next = random(seed);

const folder = mkdtempSync(join(tmpdir(), 'tidemark-corruption-'));
const root = join(folder, 'repository');
const key: Secret = { kind: 'key', text: newKeyText(), where: 'the test' };
const passphrase = { kind: 'passphrase', text: 'correct horse', where: 'the test' } as const;
const signal = new AbortController().signal;

/** Everything in the repository as it was written, and what reading it gives. */
const objects = new Map<string, Buffer>();
const contents = new Map<string, string>();
let repository: Repository;
let storage: Storage;
let manifests: Manifest[] = [];
/** The same objects of another repository, with the same key. */
const strangers = new Map<string, Buffer>();

before(async () => {
  const database = await freshDatabase(await server(15));
  writeFileSync(join(folder, 'key'), key.text);
  const strategyAt = async (name: string) => {
    const file = join(folder, `${name}.yaml`);
    writeFileSync(
      file,
      `databases:\n  shop:\n    url: ${JSON.stringify(database.url)}\n` +
        `repositories:\n  primary:\n    storage: ${join(folder, name)}\n    key: { file: ${join(folder, 'key')} }\n`,
    );
    return loadStrategy(file, process.env, { secrets: 'required' });
  };
  const backUp = async (name: string) =>
    backupDatabase(await strategyAt(name), 'shop', null, {
      schemaOnly: false,
      dataOnly: false,
      rolePasswords: null,
      jobs: 2,
      version: 'test',
      reporter: SILENT,
      signal,
    });
  await query(database.url, SCHEMA);
  storage = await openStorage({ spec: { kind: 'local', path: root } });
  repository = await Repository.create(storage, key, new Date());
  const second = await wrapKey(repository.keys.current, 'second', passphrase);
  await storage.put('keys/second.json', [plainObject(second)]);
  await backUp('repository');
  await query(database.url, "update items set name = name || '!' where id % 4000 = 0");
  await backUp('repository');
  // Both may have been taken in one second: then their ids don't tell which was first.
  manifests = (await repository.manifests()).sort((a, b) => (a.started < b.started ? -1 : 1));
  for await (const { name } of storage.list('')) objects.set(name, await storage.get(name));
  await readEverything(key, (what, sum) => contents.set(what, sum));

  const other = await openStorage({ spec: { kind: 'local', path: join(folder, 'other') } });
  await Repository.create(other, key, new Date());
  await backUp('other');
  for await (const { name } of other.list('')) strangers.set(name, await other.get(name));
  await database.drop();
});

after(() => rmSync(folder, { recursive: true, force: true }));

const SCHEMA = `
  create table items (id int primary key, name text, note text);
  insert into items select i, 'item ' || i, md5(i::text) || md5((i + 1)::text) from generate_series(1, 60000) i;
  create table orders (id int primary key, item int references items, at timestamptz);
  insert into orders select i, i, '2026-01-01'::timestamptz + i * interval '1 min' from generate_series(1, 20000) i;
  create table none (id int);
  select lo_from_bytea(0, decode(repeat('00ff0a5c', 20000), 'hex'));`;

/** What verify says, or the error that kept it from looking. */
async function verdict(): Promise<VerifyResult | TidemarkError> {
  const file = join(folder, 'repository.yaml');
  const strategy = await loadStrategy(file, process.env, { secrets: 'required' });
  const given = manifests.map(manifest => manifest.snapshot);
  try {
    return await verify({ strategy, given, all: false, reporter: SILENT, signal });
  } catch (error) {
    assert.ok(error instanceof TidemarkError, String((error as Error).stack));
    return error;
  }
}

/** Reads all of all snapshots as a restore does; whatever can't be read is counted. */
async function readEverything(secret: Secret, got: (what: string, sum: string) => void): Promise<number> {
  let refused = 0;
  const attempt = async (what: string, read: () => Promise<Buffer>): Promise<void> => {
    try {
      got(
        what,
        createHash('sha256')
          .update(await read())
          .digest('hex'),
      );
    } catch (error) {
      assert.ok(error instanceof TidemarkError, String((error as Error).stack));
      refused++;
    }
  };
  for (const { snapshot } of manifests) {
    let open: Awaited<ReturnType<typeof openSnapshot>>;
    try {
      open = await openSnapshot(await Repository.open(storage, secret), snapshot);
    } catch (error) {
      assert.ok(error instanceof TidemarkError, String((error as Error).stack));
      refused++;
      continue;
    }
    await attempt(`${snapshot} archive`, async () => open.archiveBytes);
    await attempt(`${snapshot} globals`, async () => Buffer.from(JSON.stringify(open.globals)));
    await attempt(`${snapshot} parts`, async () => Buffer.from(JSON.stringify(open.parts)));
    for (const part of open.parts)
      await attempt(`${snapshot} ${part.kind} ${part.table} ${part.from}`, () =>
        open.reader.whole(part, 'a part'),
      );
  }
  return refused;
}

interface Damage {
  what: string;
  /** The objects to write instead; null removes. */
  changes: [name: string, bytes: Buffer | null][];
  /** Whether reading must fail; else it may go on, with the right bytes. */
  fatal: boolean;
  secret?: Secret;
}

function place(name: string, bytes: Buffer | null): void {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  if (bytes) writeFileSync(path, bytes);
}

async function inflict({ what, changes, fatal, secret }: Damage): Promise<void> {
  for (const [name, bytes] of changes) place(name, bytes);
  try {
    const refused = await readEverything(secret ?? key, (read, sum) =>
      assert.equal(sum, contents.get(read), `${what}: ${read} was read with other bytes`),
    );
    if (fatal) assert.ok(refused > 0, `${what}: everything could be read`);
    const found = await verdict();
    // A slot can be judged wholly only by its own secret; without it, verify sees no more than its form.
    if (secret && refused > 0) return;
    if (found instanceof TidemarkError) return;
    assert.ok(!found.ok, `${what}: verify found nothing`);
    const named = found.faults.map(fault => fault.object);
    assert.ok(
      changes.some(([name]) => named.includes(name)),
      `${what}: verify named ${named.join(', ')}`,
    );
    if (fatal)
      assert.ok(
        found.faults.some(fault => fault.snapshots.length > 0),
        `${what}: no snapshot is hurt`,
      );
  } finally {
    for (const [name] of changes) place(name, objects.get(name) ?? null);
  }
}

/** One bit, which never makes another white space of a white space in JSON. */
function flipped(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at]! ^= 1 << Math.floor(next() * 8);
  return changed;
}

const somewhere = (from: number, to: number) => from + Math.floor(next() * (to - from));

/** The ways that are the same for every kind of object. JSON that lacks its last line end can still be read. */
function* commonDamage(name: string, other: string, secret?: Secret): Iterable<Damage> {
  const bytes = objects.get(name)!;
  const cuts = [0, 1, somewhere(2, bytes.length - 2), bytes.length - 1];
  for (const length of cuts) {
    const fatal = !name.endsWith('.json') || length < bytes.length - 1;
    yield { what: `${name} cut to ${length}`, changes: [[name, bytes.subarray(0, length)]], fatal, secret };
  }
  yield { what: `${name} removed`, changes: [[name, null]], fatal: true, secret };
  const longer = Buffer.concat([bytes, bytes.subarray(0, somewhere(1, 40))]);
  yield {
    what: `${name} lengthened`,
    changes: [[name, longer]],
    fatal: name.startsWith('snapshots/'),
    secret,
  };
  const stranger = strangers.get(name) ?? [...strangers].find(([key]) => dirname(key) === dirname(name))?.[1];
  if (stranger)
    yield { what: `${name} of another repository`, changes: [[name, stranger]], fatal: true, secret };
  if (other === name) return;
  yield { what: `${other} in place of ${name}`, changes: [[name, objects.get(other)!]], fatal: true, secret };
}

const named = (prefix: string) => [...objects.keys()].filter(name => name.startsWith(prefix)).sort();

test('nothing is wrong at first', async () => {
  const result = await verdict();
  assert.ok(!(result instanceof TidemarkError), String(result));
  assert.deepEqual(result.faults, []);
  assert.ok(result.ok);
  assert.equal(result.snapshots.length, 2);
  assert.equal(result.objects, objects.size);
  assert.equal(contents.size, 2 * 3 + manifests.length * 4);
});

test('repository.json', async () => {
  const name = 'repository.json';
  const bytes = objects.get(name)!;
  for (const damage of commonDamage(name, name)) await inflict(damage);
  const created = bytes.indexOf('"created": "') + 12;
  for (let i = 0; i < 16; i++) {
    const at = somewhere(0, bytes.length);
    // Nothing vouches for the time of creation, and nothing relies on it.
    if (at >= created && at < created + 24) continue;
    await inflict({ what: `${name} at ${at}`, changes: [[name, flipped(bytes, at)]], fatal: false });
  }
});

test('key slots', async () => {
  const [first, second] = ['keys/first.json', 'keys/second.json'];
  for (const [name, secret] of [
    [first!, key],
    [second!, passphrase],
  ] as const) {
    const bytes = objects.get(name)!;
    const flips = secret === key ? 16 : 3;
    for (let i = 0; i < flips; i++) {
      const at = somewhere(0, bytes.length);
      await inflict({
        what: `${name} at ${at}`,
        changes: [[name, flipped(bytes, at)]],
        fatal: false,
        secret,
      });
    }
    for (const damage of commonDamage(name, name, secret))
      if (!damage.what.includes('another repository') || secret === key) await inflict(damage);
  }
  const swap: Damage['changes'] = [
    [first!, objects.get(second!)!],
    [second!, objects.get(first!)!],
  ];
  await inflict({ what: 'the slots swapped', changes: swap, fatal: false });
});

test('manifests', async () => {
  const [a, b] = named('snapshots/');
  const bytes = objects.get(a!)!;
  for (const at of [
    0,
    7,
    8,
    19,
    20,
    bytes.length - 17,
    bytes.length - 1,
    ...Array.from({ length: 5 }, () => somewhere(0, bytes.length)),
  ])
    await inflict({ what: `${a} at ${at}`, changes: [[a!, flipped(bytes, at)]], fatal: true });
  for (const damage of commonDamage(a!, b!)) await inflict(damage);
  const swap: Damage['changes'] = [
    [a!, objects.get(b!)!],
    [b!, objects.get(a!)!],
  ];
  await inflict({ what: 'two manifests swapped', changes: swap, fatal: true });
});

test('every pack: each way but flips', async () => {
  const packs = named('packs/');
  assert.ok(packs.length >= 4, `${packs.length} packs`);
  for (const [i, name] of packs.entries())
    for (const damage of commonDamage(name, packs[(i + 1) % packs.length]!)) await inflict(damage);
  const swap: Damage['changes'] = [
    [packs[0]!, objects.get(packs[1]!)!],
    [packs[1]!, objects.get(packs[0]!)!],
  ];
  await inflict({ what: 'two packs swapped', changes: swap, fatal: true });
});

/** The layout of a pack, by the directory in it. */
function layoutOf(name: string): { segments: PlacedSegment[]; directory: number; end: number } {
  const [, session, number] = name.split('/');
  const manifest = manifests.find(({ sessions }) => sessions[session!])!;
  assert.ok(manifest.packs.some(([id, n]) => packName(id, n) === `${session}/${number}`));
  const packKey = repository.keys.current.pack(
    session!,
    Number(number),
    Buffer.from(manifest.sessions[session!]!, 'hex'),
  );
  const bytes = objects.get(name)!;
  const { storedBytes } = parseTrailer(bytes, name);
  const end = bytes.length - PACK_TRAILER_BYTES;
  const segments = openDirectory(packKey, bytes, bytes.length, name);
  return { segments, directory: end - storedBytes, end };
}

test('packs: a byte anywhere', async () => {
  const packs = named('packs/');
  const kinds = new Set<number>();
  for (const name of packs) {
    const bytes = objects.get(name)!;
    const { segments, directory, end } = layoutOf(name);
    const offsets: [what: string, at: number, fatal: boolean][] = [
      ['magic', somewhere(0, 8), false],
      ['version', somewhere(8, 12), false],
      ['number', somewhere(12, 16), false],
      ['salt', somewhere(16, 32), false],
      ['directory', somewhere(directory, end), true],
      ['trailer: stored length', somewhere(end, end + 4), true],
      ['trailer: plain length', somewhere(end + 4, end + 8), true],
      ['trailer: magic', somewhere(end + 8, end + 16), true],
    ];
    const lists = segments.filter(segment => segment.kind === SEGMENT_KIND.list);
    const chosen = new Set([
      segments[0]!,
      segments[segments.length >> 1]!,
      segments.at(-1)!,
      ...lists.slice(0, 1),
    ]);
    for (const { offset, storedBytes, kind } of chosen) {
      kinds.add(kind);
      const stop = offset + storedBytes;
      for (const at of [somewhere(offset, stop), stop - 1])
        offsets.push([`segment of kind ${kind}`, at, true]);
    }
    for (const [what, at, fatal] of offsets)
      await inflict({ what: `${what} of ${name} at ${at}`, changes: [[name, flipped(bytes, at)]], fatal });
  }
  assert.deepEqual([...kinds].sort(), [SEGMENT_KIND.data, SEGMENT_KIND.list]);
});

test('two segments of equal length can’t be swapped in their pack', async () => {
  const name = named('packs/').find(pack => layoutOf(pack).segments.length > 1)!;
  const { segments } = layoutOf(name);
  const bytes = Buffer.from(objects.get(name)!);
  const length = Math.min(segments[0]!.storedBytes, segments[1]!.storedBytes);
  const [a, b] = [segments[0]!.offset, segments[1]!.offset];
  const kept = Buffer.from(bytes.subarray(a, a + length));
  bytes.copy(bytes, a, b, b + length);
  kept.copy(bytes, b);
  await inflict({ what: `segments of ${name} swapped`, changes: [[name, bytes]], fatal: true });
});

test('what verify says names the tables and snapshots that are hurt, and only those', async () => {
  const [first, second] = manifests;
  // The streams of every snapshot are in its first pack; without them nobody knows which tables there are.
  const added = named(`packs/${second!.snapshot}/`).filter(name => !name.endsWith('1'));
  assert.ok(added.length > 0);
  for (const object of added) {
    place(object, null);
    try {
      const result = await verdict();
      assert.ok(!(result instanceof TidemarkError), String(result));
      const sound = result.snapshots.filter(({ ok }) => ok).map(({ snapshot }) => snapshot);
      assert.deepEqual(sound, [first!.snapshot]);
      const hurt = { snapshots: [second!.snapshot], tables: ['public.items'] };
      assert.deepEqual(
        result.faults.map(({ object, code, snapshots, tables }) => ({ object, code, snapshots, tables })),
        [{ object, code: 'OBJECT_MISSING', ...hurt }],
      );
    } finally {
      place(object, objects.get(object)!);
    }
  }
});

test('all is as it was at the end', async () => {
  for (const [name, bytes] of objects) assert.ok(readFileSync(join(root, name)).equals(bytes), name);
  const result = await verdict();
  assert.ok(!(result instanceof TidemarkError) && result.ok);
});
