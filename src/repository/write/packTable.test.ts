import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UsedPack } from '../format/chunkList.ts';
import { packTable } from './packTable.ts';

const OLD = '20261120-020000000-00000001';
const OWN = '20261121-020000000-00000002';
const own = { session: OWN, salt: Buffer.alloc(16, 7), epoch: 0, sizes: new Map([[1, 500]]) };
const previous = {
  sessions: { [OLD]: 'aa'.repeat(16), '20261119-020000000-00000000': 'bb'.repeat(16) },
  packs: [
    [OLD, 1, 300],
    [OLD, 2, 400],
  ] as [string, number, number][],
  usage: { listBytes: 9, packs: [[100, 1000], [5, 0]] as [number, number][] }, // biome-ignore format: pairs
};

const stream = (listBytes: number, ...packs: UsedPack[]) => ({ listBytes, packs });

test('a new manifest names what its streams use, each pack once, and how much of it', () => {
  const written = [
    stream(50, [OWN, 1, 800], [OLD, 1, 600], [OWN, 1, 50]),
    stream(0, [OLD, 1, 700], [OLD, 2, 30]),
  ];
  assert.deepEqual(packTable(own, written, [previous]), {
    sessions: { [OLD]: 'aa'.repeat(16), [OWN]: '07'.repeat(16) },
    packs: [[OLD, 1, 300], [OLD, 2, 400], [OWN, 1, 500]], // biome-ignore format: rows
    // Never more than there is; and where nobody knows how much there is, that stays unknown.
    usage: { listBytes: 50, packs: [[1000, 1000], [30, 0], [850, 850]] }, // biome-ignore format: rows
  });
});

test('a manifest says which sessions are of a later epoch', () => {
  const written = [stream(0, [OWN, 1, 8], [OLD, 1, 6])];
  assert.equal('epochs' in packTable(own, written, [previous]), false);
  const later = { ...previous, epochs: { [OLD]: 2 } };
  assert.deepEqual(packTable({ ...own, epoch: 3 }, written, [later]).epochs, { [OLD]: 2, [OWN]: 3 });
  assert.deepEqual(packTable({ ...own, epoch: 3 }, written, [previous]).epochs, { [OWN]: 3 });
});

test('a pack of a snapshot that did not say how much of it was used stays unknown', () => {
  const { usage } = packTable(own, [stream(0, [OLD, 1, 10])], [{ ...previous, usage: undefined }]);
  assert.deepEqual(usage?.packs, [[10, 0]]);
});

test('what was not stored can’t be referred to', () => {
  assert.throws(() => packTable(own, [stream(0, [OWN, 2, 1])], [previous]), { code: 'INTERNAL' });
  assert.throws(() => packTable(own, [stream(0, [OLD, 3, 1])], [previous]), { code: 'INTERNAL' });
});
