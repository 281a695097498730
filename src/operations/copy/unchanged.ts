import { decodeChunkList, type ListRef, usedPacks } from '../../repository/format/chunkList.ts';
import { type PartRecord, partKey, refOf } from '../../repository/manifest.ts';
import { readParts } from '../../repository/read/parts.ts';
import { SnapshotReader } from '../../repository/read/reader.ts';
import type { Repository } from '../../repository/repository.ts';
import type { WrittenStream } from '../../repository/write/chunkWriter.ts';
import type { PreviousSnapshot } from '../../repository/write/previous.ts';

/**
 * Parts that need not be read to be copied. Both repositories hold one snapshot, the `previous` of the target: where the
 * source says that a part has the very chunks it had then, its bytes are those that the target has of it.
 */
export class UnchangedParts {
  readonly #previous: PreviousSnapshot;
  readonly #before: Map<string, PartRecord>;

  private constructor(previous: PreviousSnapshot, before: Map<string, PartRecord>) {
    this.#previous = previous;
    this.#before = before;
  }

  /** Undefined where the source lacks that snapshot, or can't read what it says of itself: then all is read. */
  static async find(
    source: Repository,
    previous: PreviousSnapshot | undefined,
  ): Promise<UnchangedParts | undefined> {
    if (!previous) return undefined;
    const [name] = await source.namesOf(previous.manifest.snapshot);
    if (name === undefined) return undefined;
    try {
      const manifest = await source.manifest(name);
      const reader = new SnapshotReader(source.storage, source.keys, manifest, { verifyIds: true });
      const parts = await readParts(reader, manifest);
      return new UnchangedParts(previous, new Map(parts.map(part => [partKey(part), part])));
    } catch {
      return undefined;
    }
  }

  /** The part as the target has it; undefined where it has to be read. */
  async written(part: PartRecord): Promise<WrittenStream | undefined> {
    const before = this.#before.get(partKey(part));
    if (!before || !sameList(before, part)) return undefined;
    const there = this.#previous.part(part);
    if (there?.rows !== part.rows || there.bytes !== part.bytes) return undefined;
    const ref = refOf(there);
    const known = await this.#previous.reusable(ref);
    if (!known?.ref) return undefined;
    const { encoded } = known;
    const list = decodeChunkList(encoded, 'the previous snapshot');
    const packs = usedPacks(list);
    if ('at' in ref) packs.push([ref.at[0], ref.at[1], encoded.length]);
    const { rows, bytes } = part;
    return { rows, bytes, chunks: list.count, chunksAdded: 0, bytesNew: 0, ref, listBytes: 0, packs };
  }
}

function sameList(a: ListRef, b: ListRef): boolean {
  if ('list' in a) return 'list' in b && a.list === b.list;
  return 'at' in b && a.at.every((each, i) => each === b.at[i]);
}
