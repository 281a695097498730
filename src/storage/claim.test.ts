import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { TidemarkError } from '../base/errors.ts';
import { type ClaimFiles, claimObject } from './claim.ts';
import { refuses } from './laws.ts';
import { CLAIM_FILES } from './local/files.ts';

const root = mkdtempSync(join(tmpdir(), 'tidemark-claim-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** As writers call their files. */
const writerName = (writer: number) => `1-${String(writer).padStart(16, '0')}`;

/** One place where writers claim the same object. */
function makePlace() {
  const folder = mkdtempSync(join(root, 'place-'));
  const target = join(folder, 'object');
  const claim = join(folder, 'claim');
  let writers = 0;
  return {
    target,
    claim,
    /** What is there besides the object. */
    leftovers: () => readdirSync(folder).filter(name => name !== 'object'),
    async put(files: ClaimFiles = CLAIM_FILES): Promise<string> {
      const file = writerName(writers++);
      const own = join(folder, `${file}.d`);
      mkdirSync(own);
      writeFileSync(join(own, file), file);
      const isOurs = async () => (existsSync(target) ? readFileSync(target, 'utf8') === file : undefined);
      try {
        await claimObject('object', folder, files, { folder: own, file, claim, target, isOurs });
        return file;
      } finally {
        rmSync(own, { recursive: true, force: true });
      }
    },
    read: () => (existsSync(target) ? readFileSync(target, 'utf8') : undefined),
  };
}

test('the first puts the object, the second finds it, and nothing is left behind', async () => {
  const place = makePlace();
  assert.equal(await place.put(), writerName(0));
  await refuses('OBJECT_EXISTS', 'failed', place.put());
  assert.equal(place.read(), writerName(0));
  assert.deepEqual(place.leftovers(), []);
});

test('what a writer claimed before it died is put by the next, which finds it there', async () => {
  const place = makePlace();
  mkdirSync(place.claim);
  writeFileSync(join(place.claim, writerName(99)), 'dead');
  await refuses('OBJECT_EXISTS', 'failed', place.put());
  assert.equal(place.read(), 'dead');
  assert.deepEqual(place.leftovers(), []);
});

test('a claim on an object that is there is dropped', async () => {
  const place = makePlace();
  await place.put();
  mkdirSync(place.claim);
  writeFileSync(join(place.claim, writerName(99)), 'dead');
  await refuses('OBJECT_EXISTS', 'failed', place.put());
  assert.deepEqual(place.leftovers(), []);
  rmSync(place.target);
  assert.equal(await place.put(), writerName(2));
});

test('an empty claim is nobody’s', async () => {
  const place = makePlace();
  mkdirSync(place.claim);
  assert.equal(await place.put(), writerName(0));
  assert.deepEqual(place.leftovers(), []);
});

test('a writer that slept while others ended its claim learns from the object whether it won', async () => {
  for (const [meanwhile, outcome] of [
    ['finished', writerName(0)],
    ['dropped', 'STORAGE_CONTENDED'],
    ['overtaken', 'OBJECT_EXISTS'],
  ] as const) {
    const place = makePlace();
    let asleep = true;
    const sleepy: ClaimFiles = {
      ...CLAIM_FILES,
      async moveFile(from, to) {
        if (asleep) {
          asleep = false;
          if (meanwhile === 'finished') await assert.rejects(place.put(), { code: 'OBJECT_EXISTS' });
          else rmSync(from);
          if (meanwhile === 'overtaken') await place.put();
        }
        return CLAIM_FILES.moveFile(from, to);
      },
    };
    const result = await place.put(sleepy).catch((error: TidemarkError) => error.code);
    assert.equal(result, outcome);
    assert.equal(
      place.read(),
      { finished: writerName(0), dropped: undefined, overtaken: writerName(1) }[meanwhile],
    );
  }
});

/** Writers that wait, and die, between any two calls. */
function unsteady(deaths: number): ClaimFiles {
  const around =
    <A extends unknown[], T>(call: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      for (let turns = randomInt(4); turns > 0; turns--) await turn();
      if (Math.random() < deaths) throw new Death();
      const result = await call(...args);
      if (Math.random() < deaths) throw new Death();
      return result;
    };
  return {
    moveFolder: around(CLAIM_FILES.moveFolder),
    moveFile: around(CLAIM_FILES.moveFile),
    exists: around(CLAIM_FILES.exists),
    names: around(CLAIM_FILES.names),
    removeFile: around(CLAIM_FILES.removeFile),
    removeFolder: around(CLAIM_FILES.removeFolder),
  };
}

class Death extends Error {}

test('of many writers at once, some of which die, at most one wins, and the object is its', async () => {
  let won = 0;
  for (let round = 0; round < 60; round++) {
    const place = makePlace();
    const deaths = round % 3 === 0 ? 0 : 0.04;
    const puts = await Promise.allSettled(Array.from({ length: 8 }, () => place.put(unsteady(deaths))));
    const winners = puts.flatMap(put => (put.status === 'fulfilled' ? [put.value] : []));
    for (const put of puts) {
      if (put.status === 'rejected' && !(put.reason instanceof Death))
        assert.equal((put.reason as TidemarkError).code, 'OBJECT_EXISTS');
    }
    assert.ok(winners.length <= 1, `winners: ${winners}`);
    if (winners.length === 1) assert.equal(place.read(), winners[0]);
    if (deaths === 0) assert.equal(winners.length, 1);
    won += winners.length;
    // Whoever comes later is not in anybody's way.
    await place.put().catch((error: TidemarkError) => assert.equal(error.code, 'OBJECT_EXISTS'));
    assert.ok(place.read());
    assert.deepEqual(place.leftovers(), []);
  }
  assert.ok(won > 30, `${won} of 60 rounds had a winner`);
});
