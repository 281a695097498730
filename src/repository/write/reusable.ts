import { idAt } from '../format/chunkId.ts';
import { ChunkListBuilder, decodeChunkList, type ListRef } from '../format/chunkList.ts';
import type { PackChecks } from '../packs/packChecks.ts';

/** A chunk list that a new snapshot may refer to chunks of. */
export interface Reusable {
  encoded: Buffer;
  /** Where the list itself lies; null where nobody must refer to that. */
  ref: ListRef | null;
}

/** What of a list lies in packs that are not known to be damaged; undefined where nothing does. */
export function reusable(encoded: Buffer, ref: ListRef, checks: PackChecks): Reusable | undefined {
  if (checks.sound) return { encoded, ref };
  const own = 'at' in ref && checks.damage(ref.at[0], ref.at[1]) !== undefined ? null : ref;
  const list = decodeChunkList(encoded, 'the previous snapshot');
  const bad = list.packs.map(({ session, number }) => checks.damage(session, number) !== undefined);
  if (!bad.includes(true)) return { encoded, ref: own };
  const rest = new ChunkListBuilder();
  for (let i = 0; i < list.count; i++) {
    const pack = list.pack[i]!;
    if (bad[pack]) continue;
    const { session, number } = list.packs[pack]!;
    rest.add(session, number, list.segment[i]!, list.offset[i]!, list.length[i]!, idAt(list.ids, i));
  }
  return rest.count === 0 ? undefined : { encoded: rest.encode(), ref: null };
}
