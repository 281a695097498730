/** Holds the program against vectors.json, which is computed from docs/format.md without it (vectors.make.ts). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type ChunkList, ChunkListBuilder, decodeChunkList } from '../format/chunkList.ts';
import { endsChunk, streamCut } from '../format/cut.ts';
import { openDirectory, packHeader, packTail, parsePackHeader } from '../format/pack.ts';
import { openObject, openSegment, SEGMENT_KIND, sealObject, sealSegment } from '../format/seal.ts';
import { openOlder, parseEpoch, sealOlder } from '../keys/epochs.ts';
import { RepositoryKeys } from '../keys/keys.ts';
import { formatKeyText, parseKeyText } from '../keys/keyText.ts';
import { type KeySlot, macHolds, parseSlot, plainObject, type Secret, unwrapKey } from '../keys/slots.ts';
import { ChunkWriter } from '../write/chunkWriter.ts';
import { PackWriter } from '../write/packWriter.ts';

const vectors = JSON.parse(readFileSync(new URL('vectors.json', import.meta.url), 'utf8'));
const bytes = (hex: string) => Buffer.from(hex, 'hex');
const ring = new RepositoryKeys(vectors.masters.map(bytes), vectors.repository);
const keys = ring.at(0);
const salt = bytes(vectors.salt);
const packKey = keys.pack(vectors.session, 9, salt);

/** As in vectors.make.ts. */
function noise(length: number, from = 0): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++) {
    const number = Buffer.alloc(4);
    number.writeUInt32LE(from + i);
    blocks.push(createHash('sha256').update(number).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

function vectorRows(): Buffer[] {
  return Array.from({ length: 3000 }, (_, i) => {
    const body = noise(((i * 7919) % 300) >> 1, i * 100).toString('hex');
    const long = i === 1500 ? 'w'.repeat(600_000) : i % 400 === 399 ? body.repeat(40) : body;
    return Buffer.from(`${long}\n`);
  });
}

test('keys are derived as the format says', () => {
  assert.equal(keys.chunkIdKey().toString('hex'), vectors.keys.chunkId);
  const cutter = keys.cutter();
  assert.deepEqual([...cutter.subarray(0, 8)], vectors.keys.cutter);
  const sum = createHash('sha256').update(Buffer.from(cutter.buffer)).digest('hex');
  assert.equal(sum, vectors.keys.cutterSha256);
  assert.equal(packKey.toString('hex'), vectors.keys.pack9);
  assert.equal(keys.object(`snapshots/${vectors.session}`).toString('hex'), vectors.keys.object);
});

test('the text of a key', () => {
  assert.equal(formatKeyText(bytes(vectors.keyText.key)), vectors.keyText.text);
  assert.equal(
    parseKeyText(` ${vectors.keyText.text.toUpperCase()}\n`, 'it').toString('hex'),
    vectors.keyText.key,
  );
  const mistyped = vectors.keyText.text.replace('qcay', 'qcaz');
  assert.throws(() => parseKeyText(mistyped, 'it'), { code: 'KEY_MALFORMED', message: /mistyped/ });
});

test('key slots are unwrapped with their own secret, and with no other', async () => {
  for (const { slot, secret } of vectors.slots as { slot: KeySlot; secret: string }[]) {
    const parsed = parseSlot(plainObject(slot), slot.slot);
    const kind = slot.kind === 'passphrase' ? 'passphrase' : 'key';
    const given: Secret = { kind, text: secret, where: 'the vector' };
    const epoch = slot.epoch ?? 0;
    const master = await unwrapKey(parsed, vectors.repository, given);
    assert.equal(master?.toString('hex'), vectors.masters[epoch]);
    assert.equal(slot.mac === undefined || macHolds(ring.at(epoch), slot), true);
    assert.equal(slot.mac !== undefined && macHolds(ring.at(epoch), { ...slot, slot: 'renamed' }), false);
    assert.equal(await unwrapKey({ ...parsed, epoch: epoch + 1 }, vectors.repository, given), undefined);
    const elsewhere = vectors.repository.replace('a', 'b');
    assert.equal(await unwrapKey(parsed, elsewhere, given), undefined);
    assert.equal(await unwrapKey({ ...parsed, slot: 'renamed' }, vectors.repository, given), undefined);
  }
});

test('an epoch gives the keys of those before it', () => {
  const object = parseEpoch(plainObject(vectors.epoch), 'it');
  const newest = ring.at(2);
  assert.ok(macHolds(newest, object));
  assert.ok(!macHolds(newest, { ...object, started: '2026-11-21T09:57:48.000Z' }));
  const hex = (masters: Buffer[] | undefined) => masters?.map(each => each.toString('hex'));
  assert.deepEqual(hex(openOlder(newest, object.older)), vectors.masters.slice(0, 2));
  assert.equal(openOlder(ring.at(1), object.older), undefined);
  const again = sealOlder(newest, [ring.at(0).master, ring.at(1).master]);
  assert.deepEqual(hex(openOlder(newest, again)), vectors.masters.slice(0, 2));
});

test('an object says its epoch, and opens in no other', () => {
  const { name, value, sealed } = vectors.epochObject;
  assert.deepEqual(ring.open(name, bytes(sealed), name), value);
  assert.deepEqual(ring.open(name, bytes(vectors.object.sealed), name), value);
  assert.deepEqual(ring.open(name, ring.seal(name, value), name), value);
  const moved = bytes(sealed);
  moved.writeUInt32LE(1, 8);
  assert.throws(() => ring.open(name, moved, name), { code: 'SEAL_BROKEN' });
  moved.writeUInt32LE(3, 8);
  assert.throws(() => ring.open(name, moved, name), { code: 'EPOCH_UNKNOWN' });
  moved.writeUInt32LE(0x80000000, 8);
  assert.throws(() => ring.open(name, moved, name), { code: 'SEAL_BROKEN' });
});

test('after which rows a chunk may end', () => {
  for (const { text, times, ends } of vectors.rowEnds) {
    const row = Buffer.from(`x${text.repeat(times)}\n`);
    assert.equal(endsChunk(keys.cutter(), row, 1, row.length), ends, `${text.slice(0, 20)} × ${times}`);
  }
});

test('where streams are cut', () => {
  const table = keys.cutter();
  const stream = noise(vectors.streamBytes);
  const chunks: number[] = [];
  for (let at = 0; at < stream.length; ) {
    const end = streamCut(table, stream, at, stream.length);
    chunks.push(end - at);
    at = end;
  }
  assert.deepEqual(chunks, vectors.streamChunks);
  const list = written(writer => writer.appendStream(stream), 'stream');
  assert.deepEqual([...list.length], vectors.streamChunks);
});

test('where rows are cut', () => {
  const rows = vectorRows();
  assert.equal(createHash('sha256').update(Buffer.concat(rows)).digest('hex'), vectors.rowsSha256);
  const list = written(writer => {
    for (const row of rows) {
      writer.append(row, 0, row.length);
      writer.endRow();
    }
  }, 'rows');
  assert.deepEqual([...list.length], vectors.rowChunks);
});

/** The chunk list of one stream. */
function written(write: (writer: ChunkWriter) => void, kind: 'rows' | 'stream'): ChunkList {
  const pieces: Buffer[] = [];
  const packs = new PackWriter({
    keys,
    session: vectors.session,
    sessionSalt: salt,
    level: 1,
    content: 'any',
    nextPack: () => 1,
    output: { piece: (_, piece) => pieces.push(piece), end() {} },
  });
  const writer = new ChunkWriter(packs);
  writer.begin();
  write(writer);
  const { ref } = writer.finish(kind);
  writer.flush();
  if ('list' in ref) return decodeChunkList(Buffer.from(ref.list, 'base64url'), 'it');
  const key = keys.pack(vectors.session, 1, salt);
  const whole = Buffer.concat(pieces);
  const index = ref.at[2];
  const place = openDirectory(key, whole, whole.length, 'it')[index]!;
  const segment = whole.subarray(place.offset, place.offset + place.storedBytes);
  const list = openSegment(key, index, SEGMENT_KIND.list, segment, place.plainBytes, 'it');
  return decodeChunkList(list, 'it');
}

test('a chunk’s id', () => {
  const row = bytes(vectors.chunkId.chunk);
  const { ids } = written(writer => {
    writer.append(row, 0, row.length);
    writer.endRow();
  }, 'rows');
  assert.equal(Buffer.from(ids).toString('hex'), vectors.chunkId.id);
});

test('segments', () => {
  const { index, content, sealed } = vectors.segment;
  const made = sealSegment(packKey, index, SEGMENT_KIND.data, bytes(content), 3);
  assert.equal(made.toString('hex'), sealed);
  for (const vector of [vectors.segment, vectors.compressedSegment]) {
    const plain = bytes(vector.content);
    const open = (kind: 0 | 1, at: number, length: number) =>
      openSegment(packKey, at, kind, bytes(vector.sealed), length, 'it');
    assert.deepEqual(open(SEGMENT_KIND.data, vector.index, plain.length), plain);
    assert.throws(() => open(SEGMENT_KIND.list, vector.index, plain.length), { code: 'SEAL_BROKEN' });
    assert.throws(() => open(SEGMENT_KIND.data, vector.index + 1, plain.length), { code: 'SEAL_BROKEN' });
    assert.throws(() => open(SEGMENT_KIND.data, vector.index, plain.length + 1), { code: 'SEAL_BROKEN' });
  }
});

test('a chunk list', () => {
  const { chunks, encoded } = vectors.chunkList;
  const builder = new ChunkListBuilder();
  for (const { session, pack, segment, offset, length, id } of chunks)
    builder.add(session, pack, segment, offset, length, bytes(id).toString('latin1'));
  assert.equal(builder.encode().toString('hex'), encoded);
  const list = decodeChunkList(bytes(encoded), 'it');
  const decoded = Array.from({ length: list.count }, (_, i) => ({
    session: list.packs[list.pack[i]!]!.session,
    pack: list.packs[list.pack[i]!]!.number,
    segment: list.segment[i],
    offset: list.offset[i],
    length: list.length[i],
    id: Buffer.from(list.ids.subarray(i * 16, i * 16 + 16)).toString('hex'),
  }));
  assert.deepEqual(decoded, chunks);
});

test('a whole pack', () => {
  const { number, data, list, bytes: hex } = vectors.pack;
  const pieces = [
    packHeader(number, salt),
    sealSegment(packKey, 0, SEGMENT_KIND.data, bytes(data), 3),
    sealSegment(packKey, 1, SEGMENT_KIND.list, bytes(list), 3),
  ];
  const entries = [
    { storedBytes: pieces[1]!.length, plainBytes: bytes(data).length, kind: SEGMENT_KIND.data },
    { storedBytes: pieces[2]!.length, plainBytes: bytes(list).length, kind: SEGMENT_KIND.list },
  ];
  const pack = Buffer.concat([...pieces, packTail(packKey, entries)]);
  assert.equal(pack.toString('hex'), hex);
  assert.deepEqual(parsePackHeader(pack, 'it'), { number, salt });
});

test('a sealed object', () => {
  const { name, value, sealed } = vectors.object;
  assert.deepEqual(openObject(keys.object(name), bytes(sealed), name), value);
  const again = sealObject(keys.object(name), value, 0);
  assert.deepEqual(openObject(keys.object(name), again, name), value);
  assert.notDeepEqual(again, sealObject(keys.object(name), value, 0), 'no nonce is used twice');
  const other = keys.object(name.replace('snapshots', 'condemned'));
  assert.throws(() => openObject(other, bytes(sealed), name), { code: 'SEAL_BROKEN' });
});
