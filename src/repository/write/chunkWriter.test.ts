import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ChunkList, decodeChunkList } from '../format/chunkList.ts';
import { CHUNK_MAX_BYTES } from '../format/cut.ts';
import { appendRows, random, Sample, tableRows } from '../testing/sample.ts';
import type { ChunkWriter, WrittenStream } from './chunkWriter.ts';

const KIB = 1024;
/** Rows as tables have them, and some that are as long as a value may well be. */
const row = fc
  .tuple(
    fc.oneof(
      { weight: 8, arbitrary: fc.nat(200) },
      { weight: 2, arbitrary: fc.nat(5000) },
      { weight: 1, arbitrary: fc.nat(600 * KIB) },
    ),
    fc.nat(),
  )
  .map(([length, seed]) => {
    const next = random(seed);
    const word = Buffer.from(Array.from({ length: Math.min(length, 997) }, () => 32 + next() * 90));
    return Buffer.concat([word.length ? Buffer.alloc(length, word) : word, Buffer.from('\n')]);
  });
const rows = fc.array(row, { maxLength: 120 });

async function listOf(sample: Sample, written: WrittenStream): Promise<ChunkList> {
  return decodeChunkList(await sample.reader().encodedList(written.ref), 'it');
}

test('rows come back as they were written, in chunks that end with rows and are no longer than the limit', async () => {
  await fc.assert(
    fc.asyncProperty(rows, async rows => {
      const sample = new Sample();
      const written = await sample.writeRows(rows);
      assert.deepEqual(await sample.read(written), Buffer.concat(rows));
      const list = await listOf(sample, written);
      assert.equal(written.chunks, list.count);
      const ends = new Set<number>();
      let end = 0;
      for (const each of rows) {
        end += each.length;
        ends.add(end);
      }
      assert.equal(written.bytes, end);
      let at = 0;
      for (const length of list.length) {
        assert.ok(length > 0 && length <= CHUNK_MAX_BYTES);
        at += length;
        assert.ok(ends.has(at) || length === CHUNK_MAX_BYTES);
      }
    }),
    { numRuns: 30 },
  );
});

test('how rows arrive does not matter to where they are cut', async () => {
  await fc.assert(
    fc.asyncProperty(rows, fc.nat(), async (rows, seed) => {
      const sample = new Sample();
      const whole = await sample.writeRows(rows);
      const next = random(seed);
      let pieces: WrittenStream | undefined;
      await sample.write(writer => {
        writer.begin();
        for (const each of rows) {
          for (let at = 0; at < each.length; ) {
            const to = Math.min(each.length, at + 1 + Math.floor(next() ** 3 * each.length));
            writer.append(each, at, to);
            at = to;
          }
          writer.endRow();
        }
        pieces = writer.finish('rows');
      });
      assert.deepEqual((await listOf(sample, pieces!)).ids, (await listOf(sample, whole)).ids);
    }),
    { numRuns: 20 },
  );
});

test('streams without rows come back, however they arrive and whatever is written before them', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(700 * KIB), fc.nat(), rows, async (length, seed, before) => {
      const next = random(seed);
      const bytes = Buffer.from(Array.from({ length }, () => next() * 256));
      const sample = new Sample();
      const stream = (writer: ChunkWriter, cut: () => number): WrittenStream => {
        writer.begin();
        for (let at = 0; at < length; ) {
          const to = Math.min(length, at + cut());
          writer.appendStream(bytes.subarray(at, to));
          at = to;
        }
        return writer.finish('stream');
      };
      let streams: WrittenStream[] = [];
      await sample.write(writer => {
        const first = stream(writer, () => length);
        appendRows(writer, before);
        streams = [first, stream(writer, () => 1 + Math.floor(next() * 100_000))];
      });
      for (const each of streams) assert.deepEqual(await sample.read(each), bytes);
      const [a, b] = [await listOf(sample, streams[0]!), await listOf(sample, streams[1]!)];
      assert.deepEqual(a.length, b.length);
      assert.deepEqual(a.ids, b.ids);
    }),
    { numRuns: 15 },
  );
});

test('an empty stream and an empty row', async () => {
  const sample = new Sample();
  assert.equal((await sample.read(await sample.writeRows([]))).length, 0);
  assert.equal((await sample.read(await sample.writeRows([Buffer.from('\n')]))).toString(), '\n');
});

test('the same rows again add nothing, and their list is used again', async () => {
  const sample = new Sample();
  const rows = tableRows(60_000, 1);
  const first = await sample.writeRows(rows);
  assert.ok(first.chunks > 100 && first.chunksAdded === first.chunks);
  assert.ok('at' in first.ref);
  const before = sample.table.packs.length;
  const again = await sample.writeRows(rows, await sample.previous(first));
  assert.equal(again.chunksAdded, 0);
  assert.equal(again.bytesNew, 0);
  assert.deepEqual(again.ref, first.ref);
  assert.equal(sample.table.packs.length, before);
});

test('rows that are shuffled, deleted, inserted or changed in places leave most chunks as they were', async () => {
  const sample = new Sample();
  const rows = tableRows(80_000, 2);
  const first = await sample.writeRows(rows);
  const previous = await sample.previous(first);
  const next = random(3);
  const other = tableRows(1000, 4);
  const third = Math.floor(rows.length / 3);
  const changes: Record<string, Buffer[]> = {
    'a third moved to the front': [...rows.slice(2 * third), ...rows.slice(0, 2 * third)],
    'a thousand in a row deleted': rows.filter((_, i) => i < 9000 || i >= 10_000),
    'a thousand inserted in the middle': [...rows.slice(0, 20_000), ...other, ...rows.slice(20_000)],
    'some here and there changed': rows.map(row => (next() < 0.00015 ? Buffer.from(`*${row}`) : row)),
    'some here and there deleted': rows.filter(() => next() >= 0.00015),
  };
  for (const [what, changed] of Object.entries(changes)) {
    const written = await sample.writeRows(changed, previous);
    const share = written.bytesNew / written.bytes;
    assert.ok(share < 0.08, `${what}: ${(share * 100).toFixed(1)} % is new`);
    assert.deepEqual(await sample.read(written), Buffer.concat(changed), what);
  }
});

test('rows come back over many segments and packs', async () => {
  const sample = new Sample();
  const rows = Array.from({ length: 700 }, () => Buffer.from(`${randomBytes(60_000).toString('base64')}\n`));
  const written = await sample.writeRows(rows);
  assert.ok(sample.table.packs.length >= 2);
  let at = 0;
  const whole = Buffer.concat(rows);
  const reader = sample.reader();
  for await (const piece of reader.stream(await reader.list(written.ref, 'it'), 'it')) {
    assert.ok(piece.equals(whole.subarray(at, at + piece.length)));
    at += piece.length;
  }
  assert.equal(at, whole.length);
});
