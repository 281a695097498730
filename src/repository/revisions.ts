import type { Storage } from '../storage/storage.ts';
import { listOwn } from './format/objectNames.ts';

/** Where compaction moved chunks, manifests are written again: docs/format.md, "Revisions". */

/** The numbers of a manifest's revisions, in order; those of void ones are negative. */
export type Revisions = readonly number[];

const PREFIX = 'revisions/';

export function revisionName(manifest: string, number: number): string {
  return `${PREFIX}${manifest}/${String(number).padStart(8, '0')}`;
}

/** Of every manifest that has revisions, or of the one of this name. */
export async function listRevisions(storage: Storage, manifest?: string): Promise<Map<string, Revisions>> {
  const found = new Map<string, number[]>();
  for await (const { name, sizeBytes } of listOwn(storage, manifest ? `${PREFIX}${manifest}/` : PREFIX)) {
    const [of, digits] = name.slice(PREFIX.length).split('/');
    if (Number(digits) === 0) continue;
    const number = sizeBytes === 0 ? -Number(digits) : Number(digits);
    const known = found.get(of!);
    if (known) known.push(number);
    else found.set(of!, [number]);
  }
  for (const numbers of found.values()) numbers.sort((a, b) => Math.abs(a) - Math.abs(b));
  return found;
}

/** The number of the revision that counts; 0 where the manifest itself does. */
export function currentRevision(revisions: Revisions = []): number {
  return Math.max(0, ...revisions);
}

/** The number that the next one gets. */
export function nextRevision(revisions: Revisions = []): number {
  return 1 + Math.max(0, ...revisions.map(Math.abs));
}
