/** What docs/scale.md says of requests and memory, held against small repositories; `node tests/scale/main.ts` does large ones. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Requests } from './counting.ts';
import { type Measured, measure, measureApart } from './measured.ts';
import { OPERATIONS } from './operations.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-scale-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** As many packs for each snapshot; lists of snapshots fit on a page, those of packs take several. */
const SMALL = { snapshots: 200, packs: 10_000 };
const LARGE = { snapshots: 500, packs: 25_000 };
const MORE = LARGE.snapshots - SMALL.snapshots;
const PAGE = 1000;
/** Of this size, with 50 packs each. */
const MANIFEST_BYTES = 4000;

interface Law {
  /** Requests for each snapshot more. */
  get: number;
  /** How often all packs are listed. */
  packLists: number;
  /** Bytes written for each snapshot more, at the most. */
  written?: number;
}

const LAWS: Record<string, Law> = {
  list: { get: 1, packLists: 0 },
  'list DATABASE --last 3': { get: 0, packLists: 0 },
  show: { get: 0, packLists: 0 },
  'backup, what it goes on from': { get: 0, packLists: 0 },
  'backup, first of a database': { get: 1, packLists: 0 },
  'restore, finding the newest': { get: 0, packLists: 0 },
  'check, how new what is stored is': { get: 0, packLists: 0 },
  'verify --budget, one pack': { get: 1, packLists: 0, written: 20 },
  hold: { get: 0, packLists: 0 },
  'forget, one snapshot': { get: 0, packLists: 0 },
  'forget --dry-run': { get: 1, packLists: 1 },
  'prune --dry-run': { get: 1, packLists: 1 },
  prune: { get: 1, packLists: 1 },
  'prune, a day later': { get: 1, packLists: 1 },
  'heal --dry-run, one pack': { get: 2, packLists: 2 },
  'copy --dry-run, 50 new': { get: 1, packLists: 0 },
  'copy --dry-run, all new': { get: 1, packLists: 0 },
  'key list': { get: 0, packLists: 0 },
};

/** Of both repositories. */
function sum({ requests }: Measured, of: keyof Requests): number {
  return requests.main[of] + requests.archive[of];
}

for (const { name, slow } of OPERATIONS.filter(each => !each.slow)) {
  test(`requests of ${name}`, async () => {
    assert.ok(!slow);
    const law = LAWS[name]!;
    const small = await measure({ operation: name, size: SMALL, folder });
    const large = await measure({ operation: name, size: LARGE, folder });
    const more = (of: keyof Requests) => sum(large, of) - sum(small, of);
    assert.equal(more('get'), law.get * MORE, 'whole objects read');
    assert.equal(more('rangedGet'), 0, 'parts of objects read');
    assert.ok(Math.abs(more('list') - (law.packLists * (LARGE.packs - SMALL.packs)) / PAGE) <= 2, 'lists');
    for (const each of ['head', 'put', 'delete'] as const) assert.equal(more(each), 0, each);
    assert.ok(more('putBytes') <= (law.written ?? 0) * MORE + 100, `${more('putBytes')} bytes written`);
    // What an operation reads of each snapshot is its manifest; those of the first snapshots name fewer packs.
    const bytesMax = law.get * MANIFEST_BYTES * MORE + 20 * MANIFEST_BYTES;
    assert.ok(more('getBytes') <= bytesMax, `${more('getBytes')} bytes read`);
  });
}

test('every operation has its law', () => {
  assert.deepEqual(OPERATIONS.filter(each => !each.slow).map(({ name }) => name).sort(), Object.keys(LAWS).sort()); // biome-ignore format: short
});

test('memory grows by little for a snapshot, and by some bytes for a pack', async () => {
  const size = { snapshots: 1000, packs: 100_000 };
  const memoryOf = async (operation: string) =>
    (await measureApart({ operation, size, folder })).memoryBytes / 2 ** 20;
  await measureApart({ operation: 'nothing', size, folder });
  const idle = await memoryOf('key list');
  for (const operation of ['list', 'verify --budget, one pack', 'prune --dry-run']) {
    const taken = (await memoryOf(operation)) - idle;
    assert.ok(taken < 150, `${operation} takes ${taken} MiB more than a command that reads next to nothing`);
  }
});
