import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TidemarkError } from '../../base/errors.ts';
import { ChunkIndex } from '../write/chunkIndex.ts';
import { type ChunkList, ChunkListBuilder, decodeChunkList } from './chunkList.ts';
import { VarintReader, VarintWriter } from './varint.ts';

const chunk = fc.record({
  session: fc.constantFrom('20261121-095747000-3f9c2a7b', '20261122-000000000-00000000'),
  pack: fc.integer({ min: 1, max: 99_999_999 }),
  segment: fc.nat(40_000),
  offset: fc.nat(2 ** 26),
  length: fc.integer({ min: 1, max: 262144 }),
  id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
});
interface Chunk {
  session: string;
  pack: number;
  segment: number;
  offset: number;
  length: number;
  id: Uint8Array;
}

/** Now and then a chunk that lies behind the one before, as they mostly do. */
const chunks = fc.array(fc.tuple(chunk, fc.boolean()), { maxLength: 300 }).map(pairs => {
  const made: Chunk[] = [];
  for (const [each, follows] of pairs) {
    const before = made.at(-1);
    const { session, pack, segment } = before ?? each;
    if (before && follows)
      made.push({ ...each, session, pack, segment, offset: before.offset + before.length });
    else made.push(each);
  }
  return made;
});

function encode(list: Chunk[]): Buffer {
  const builder = new ChunkListBuilder();
  for (const { session, pack, segment, offset, length, id } of list)
    builder.add(session, pack, segment, offset, length, Buffer.from(id).toString('latin1'));
  assert.equal(builder.count, list.length);
  return builder.encode();
}

function chunkAt(list: ChunkList, i: number): Chunk {
  const { session, number: pack } = list.packs[list.pack[i]!]!;
  const [segment, offset, length] = [list.segment[i]!, list.offset[i]!, list.length[i]!];
  return {
    session,
    pack,
    segment,
    offset,
    length,
    id: Uint8Array.from(list.ids.subarray(i * 16, i * 16 + 16)),
  };
}

test('a chunk list comes back as it was written', () => {
  fc.assert(
    fc.property(chunks, list => {
      const decoded = decodeChunkList(encode(list), 'it');
      assert.equal(decoded.count, list.length);
      for (const [i, each] of list.entries())
        assert.deepEqual(chunkAt(decoded, i), { ...each, id: Uint8Array.from(each.id) });
    }),
  );
});

test('a damaged chunk list is refused with an error of its own, or read as a list that stays in its bounds', () => {
  const damage = fc.array(
    fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 255 })),
    {
      minLength: 1,
      maxLength: 4,
    },
  );
  fc.assert(
    fc.property(chunks, damage, fc.option(fc.nat(400)), (list, flips, cut) => {
      const bytes = Buffer.from(encode(list));
      for (const [place, mask] of flips)
        bytes[Math.min(bytes.length - 1, Math.floor(place * bytes.length))]! ^= mask;
      try {
        const decoded = decodeChunkList(cut === null ? bytes : bytes.subarray(0, bytes.length - cut), 'it');
        for (let i = 0; i < decoded.count; i++) {
          assert.ok(decoded.pack[i]! < decoded.packs.length);
          assert.ok(decoded.segment[i]! >= 0 && decoded.offset[i]! >= 0 && decoded.length[i]! > 0);
        }
      } catch (error) {
        assert.ok(error instanceof TidemarkError, String(error));
        assert.equal(error.code, 'LIST_DAMAGED');
      }
    }),
    { numRuns: 2000 },
  );
});

test('every list cut short is refused', () => {
  const bytes = encode(fc.sample(chunks, { numRuns: 1, seed: 7 })[0]!);
  for (let length = 0; length < bytes.length; length++)
    assert.throws(() => decodeChunkList(bytes.subarray(0, length), 'it'), { code: 'LIST_DAMAGED' });
});

test('a list that claims more than there is does not make the reader allocate it', () => {
  const out = new VarintWriter(16);
  out.byte(1);
  out.varint(0);
  out.varint(1);
  for (const value of [0, 0, 0, 2 ** 52]) out.varint(value);
  assert.throws(() => decodeChunkList(out.done(), 'it'), { code: 'LIST_DAMAGED' });
});

test('varints come back, and those of 2^53 or more than 8 bytes are refused', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), value => {
      const out = new VarintWriter(1);
      out.varint(value);
      assert.equal(new VarintReader(out.done(), 'it').varint(), value);
    }),
  );
  for (const bytes of [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f], Array(9).fill(0x80), [0x80]])
    assert.throws(() => new VarintReader(Buffer.from(bytes), 'it').varint(), { code: 'LIST_DAMAGED' });
});

test('an index finds every chunk of its lists and no other', () => {
  // Few different first bytes, so that chains form and wrap.
  const id = fc
    .tuple(fc.constantFrom(0, 1, 0xffffffff), fc.uint8Array({ minLength: 12, maxLength: 12 }))
    .map(([first, rest]) => {
      const bytes = Buffer.concat([Buffer.alloc(4), rest]);
      bytes.writeUInt32LE(first);
      return bytes;
    });
  const lists = fc.array(
    fc.array(
      fc.tuple(chunk, id).map(([each, id]) => ({ ...each, id })),
      { maxLength: 60 },
    ),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(lists, fc.array(id), (given, strangers) => {
      const decoded = given.map(list => decodeChunkList(encode(list), 'it'));
      const index = new ChunkIndex(decoded);
      const there = new Set<string>();
      for (const { id } of given.flat()) {
        there.add(id.toString('latin1'));
        const found = index.find(id.toString('latin1'));
        assert.notEqual(found, -1);
        const { list, at } = index.locate(found);
        assert.deepEqual(Buffer.from(list.ids.subarray(at * 16, at * 16 + 16)), id);
      }
      for (const stranger of strangers)
        if (!there.has(stranger.toString('latin1')))
          assert.equal(index.find(stranger.toString('latin1')), -1);
    }),
  );
});

test('an index of a chunk that is there a hundred thousand times is made at once', () => {
  const builder = new ChunkListBuilder();
  for (let i = 0; i < 200_000; i++)
    builder.add('20261121-095747000-3f9c2a7b', 1, i, 0, 4096, 'the same as ever');
  const started = performance.now();
  const index = new ChunkIndex([decodeChunkList(builder.encode(), 'it')]);
  assert.equal(index.find('the same as ever'), 0);
  assert.ok(performance.now() - started < 2000);
});
