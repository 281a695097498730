import type { Manifest, PartRecord } from '../manifest.ts';
import type { SnapshotReader } from './reader.ts';

/** The stream `parts` of a snapshot: docs/format.md, "Manifests". */

export async function readParts(
  reader: Pick<SnapshotReader, 'whole'>,
  manifest: Pick<Manifest, 'snapshot' | 'streams'>,
): Promise<PartRecord[]> {
  return parsePartLines(
    await reader.whole(manifest.streams.parts, `the parts of snapshot ${manifest.snapshot}`),
  );
}

export function parsePartLines(bytes: Buffer): PartRecord[] {
  return bytes
    .toString('utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as PartRecord);
}

/** What `parsePartLines` parses. */
export function partLines(parts: readonly PartRecord[]): Buffer {
  return Buffer.from(parts.map(part => `${JSON.stringify(part)}\n`).join(''));
}
