/**
 * What operations ask of a storage, and take of memory, on a repository of any size: the real code against a storage that
 * makes up its objects (docs/scale.md). Each operation runs in a process of its own.
 *
 *   node tests/scale/main.ts --snapshots 100000 --packs 10000000
 *   node tests/scale/main.ts --snapshots 1000 --packs 100000 --only list --only prune
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Measured, measureApart } from './measured.ts';
import { OPERATIONS } from './operations.ts';

/** More than this is a failure. */
const MEMORY_MAX_BYTES = 800 * 2 ** 20;

/** Of a thousand requests, in dollars, as S3 charges for its standard class in most of America; deletions are free. */
const WRITING_PRICE = 0.005;
const READING_PRICE = 0.0004;

const { values } = parseArgs({
  options: {
    snapshots: { type: 'string', default: '2000' },
    packs: { type: 'string', default: '200000' },
    only: { type: 'string', multiple: true },
    /** Where sealed manifests are kept for the next run. */
    folder: { type: 'string', default: join(tmpdir(), 'tidemark-scale') },
  },
});
const size = { snapshots: Number(values.snapshots), packs: Number(values.packs) };
const chosen = OPERATIONS.filter(({ name }) => values.only?.some(only => name.startsWith(only)) ?? true);

console.log(`${size.snapshots} snapshots, ${size.packs} packs\n`);
console.log(
  '| operation | list | get | ranged get | head | put | delete | lock | MB read | MB written | $ | s waited | s of CPU | MiB of memory | |',
);
console.log('|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|');
await measureApart({ operation: 'nothing', size, folder: values.folder });
for (const { name } of chosen) {
  try {
    const measured = await measureApart({ operation: name, size, folder: values.folder });
    console.log(row(measured));
    if (measured.memoryBytes <= MEMORY_MAX_BYTES) continue;
    process.exitCode = 1;
    console.log(`| ${name} | took more memory than it may |`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`| ${name} | failed: ${(error as Error).message} |`);
  }
}

/** Requests of both repositories together, where two are used. */
function row({ operation, requests, waitedMs, cpuMs, memoryBytes, done }: Measured): string {
  const sum = (of: keyof (typeof requests)['main']) => requests.main[of] + requests.archive[of];
  const writing = sum('list') + sum('put') + sum('lock');
  const reading = sum('get') + sum('rangedGet') + sum('head');
  const dollars = (writing * WRITING_PRICE + reading * READING_PRICE) / 1000;
  const cells = [
    operation,
    ...(['list', 'get', 'rangedGet', 'head', 'put', 'delete', 'lock'] as const).map(of => sum(of)),
    (sum('getBytes') / 1e6).toFixed(1),
    (sum('putBytes') / 1e6).toFixed(1),
    dollars.toFixed(4),
    (waitedMs / 1000).toFixed(1),
    (cpuMs / 1000).toFixed(1),
    Math.round(memoryBytes / 2 ** 20),
    Object.entries(done)
      .map(([what, count]) => `${what} ${count}`)
      .join(', '),
  ];
  return `| ${cells.join(' | ')} |`;
}
