import type { ListRef } from '../format/chunkList.ts';
import { ChunkListBuilder, decodeChunkList, ID_BYTES } from '../format/chunkList.ts';
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
  const ids = Buffer.from(list.ids.buffer, list.ids.byteOffset, list.ids.byteLength);
  for (let i = 0; i < list.count; i++) {
    const pack = list.pack[i]!;
    if (bad[pack]) continue;
    const { session, number } = list.packs[pack]!;
    const id = ids.toString('latin1', i * ID_BYTES, (i + 1) * ID_BYTES);
    rest.add(session, number, list.segment[i]!, list.offset[i]!, list.length[i]!, id);
  }
  return rest.count === 0 ? undefined : { encoded: rest.encode(), ref: null };
}
