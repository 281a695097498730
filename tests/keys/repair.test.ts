/** Damage of what opens a repository: repaired where the key proves what was there, named where it can't. */
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { SILENT } from '../../src/base/progress.ts';
import { addKey } from '../../src/operations/key/add.ts';
import { rotateEpoch } from '../../src/operations/key/epoch.ts';
import type { RepairResult } from '../../src/operations/repair/outcome.ts';
import { repair } from '../../src/operations/repair/repair.ts';
import { checkKeys } from '../../src/repository/keys/checkKeys.ts';
import { newKeyText } from '../../src/repository/keys/keyText.ts';
import { random } from '../../src/repository/testing/sample.ts';
import { KeySite } from '../support/keySite.ts';
import { readBack, smallBackup } from '../support/smallBackup.ts';

const BLOCKS = { a: 'one', b: 'two' };
const seed = Number(process.env.TIDEMARK_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`seed: run again with TIDEMARK_SEED=${seed}`);
const next = random(seed);
const signal = new AbortController().signal;

async function made(t: TestContext): Promise<KeySite> {
  const site = await KeySite.make();
  t.after(() => site.remove());
  return site;
}

async function repaired(site: KeySite, more: { dryRun?: boolean; id?: string } = {}): Promise<RepairResult> {
  return repair({
    strategy: await site.strategy(),
    repository: 'main',
    dryRun: more.dryRun ?? false,
    forgetLost: false,
    id: more.id ?? null,
    jobs: 1,
    version: 'test',
    reporter: SILENT,
    signal,
    confirm: async () => true,
  });
}

const objectsOf = (result: RepairResult) => result.objects.map(each => [each.object, each.state]);

async function isWhole(site: KeySite): Promise<void> {
  const repository = await site.open();
  assert.deepEqual((await checkKeys(repository)).faults, []);
  for (const manifest of await repository.manifests())
    assert.deepEqual(await readBack(repository, manifest), BLOCKS);
  await smallBackup(repository, BLOCKS); // it can be written to as well
}

test('repository.json comes back from any bit that flipped in it, and from its id', async t => {
  const site = await made(t);
  await smallBackup(await site.open(), BLOCKS);
  const path = site.path('repository/repository.json');
  const bytes = await readFile(path);
  const { id } = JSON.parse(bytes.toString()) as { id: string };
  const version = bytes.indexOf('"format": ') + 10;
  // What stands around the id may become a digit of it.
  const flips = [bytes.indexOf(id) - 1, bytes.indexOf(id) + id.length].flatMap(at => [[at, 4], [at, 6]]); // biome-ignore format: pairs
  for (let at = 0; at < bytes.length; at += 1 + Math.floor(next() * 4))
    if (at !== version) flips.push([at, Math.floor(next() * 8)]); // a later format is no damage
  let beyond = 0;
  for (const [at, bit] of flips as [number, number][]) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 1 << bit;
    await writeFile(path, changed);
    const planned = await repaired(site, { dryRun: true });
    assert.ok((await readFile(path)).equals(changed), 'a dry run changes nothing');
    if (planned.objects.length === 0) {
      beyond++; // a time that is one still
      await writeFile(path, bytes);
      continue;
    }
    assert.deepEqual(objectsOf(planned), [['repository.json', 'pending']], `byte ${at}`);
    assert.deepEqual(objectsOf(await repaired(site)), [['repository.json', 'repaired']], `byte ${at}`);
    const { created: _, ...header } = JSON.parse((await readFile(path)).toString()) as { created: string };
    assert.deepEqual(header, { tidemark: 'repository', format: 1, id }, `byte ${at}`);
    assert.deepEqual((await repaired(site)).objects, []);
    await writeFile(path, bytes);
  }
  assert.ok(beyond < 24, `${beyond} bytes`);
  await rm(path);
  await assert.rejects(repaired(site), { code: 'REPOSITORY_MISSING' });
  await assert.rejects(repaired(site, { id: '0'.repeat(32) }), { code: 'REPOSITORY_MISSING' });
  assert.deepEqual(objectsOf(await repaired(site, { id })), [['repository.json', 'repaired']]);
  await isWhole(site);
});

test('with a wrong key nothing is guessed', async t => {
  const site = await made(t);
  const path = site.path('repository/repository.json');
  const bytes = await readFile(path);
  await writeFile(site.path('main.key'), newKeyText());
  await assert.rejects(repaired(site), { code: 'KEY_WRONG' });
  await writeFile(path, bytes.toString().replace('"tidemark"', '"tidemarc"'));
  await assert.rejects(repaired(site), { code: 'HEADER_DAMAGED' });
});

test('an epoch’s object is written again once something proves the key to be its own', async t => {
  const site = await made(t);
  await smallBackup(await site.open(), BLOCKS);
  const epoch = { repository: 'main', with: [], retire: [], confirm: async () => true };
  await rotateEpoch({ strategy: await site.strategy(), ...epoch });
  const path = site.path('repository/epochs/1.json');
  for (const used of [false, true]) {
    if (used) await smallBackup(await site.open(), BLOCKS);
    const bytes = await readFile(path);
    for (const damaged of [
      bytes.subarray(0, 20),
      Buffer.alloc(0),
      Buffer.from(bytes.toString().replace('"mac": "', '"mac": "AAAA')),
    ]) {
      await writeFile(path, damaged);
      await assert.rejects(smallBackup(await site.open(), BLOCKS), { kind: 'fault' });
      assert.deepEqual(objectsOf(await repaired(site)), [['epochs/1.json', 'repaired']]);
      assert.deepEqual((await repaired(site)).objects, []);
    }
  }
  const stored = await readFile(path);
  await rm(path);
  await assert.rejects(site.open(), { code: 'EPOCH_MISSING' });
  assert.deepEqual(objectsOf(await repaired(site, { dryRun: true })), [['epochs/1.json', 'pending']]);
  assert.deepEqual(objectsOf(await repaired(site)), [['epochs/1.json', 'repaired']]);
  await isWhole(site);
  // What was sealed under it is gone: its start may have been cut off, which is no damage.
  await rm(site.path('repository/snapshots'), { recursive: true });
  await rm(path);
  await assert.rejects(repaired(site), { code: 'EPOCH_MISSING' });
  await writeFile(path, stored);
});

test('a slot of another secret can’t be made again; where only its form or a bit is wrong it can', async t => {
  const site = await made(t);
  await addKey({
    strategy: await site.strategy(),
    repository: 'main',
    owner: { keyFile: site.path('second.key') },
    name: 'second',
  });
  const path = site.path('repository/keys/second.json');
  const bytes = await readFile(path);
  await writeFile(path, JSON.stringify(JSON.parse(bytes.toString())));
  assert.deepEqual(objectsOf(await repaired(site)), [['keys/second.json', 'repaired']]);
  assert.ok((await readFile(path)).equals(bytes));
  const bits = ['"slot": "', '"wrapped": "', '"mac": "', 'ac": "'].map(each => bytes.indexOf(each) * 8);
  for (const bit of [...bits, ...Array.from({ length: 8 }, () => Math.floor(next() * bytes.length * 8))]) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    await writeFile(path, flipped);
    assert.deepEqual(objectsOf(await repaired(site)), [['keys/second.json', 'repaired']], `bit ${bit}`);
    assert.ok((await readFile(path)).equals(bytes), `bit ${bit}`);
  }
  await writeFile(path, bytes.subarray(0, 50));
  const result = await repaired(site);
  assert.deepEqual(objectsOf(result), [['keys/second.json', 'lost']]);
  assert.equal(result.objects[0]!.remedy, null);
});
