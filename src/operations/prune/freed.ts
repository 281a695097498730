import type { Amount } from '../../repository/collect/collectionPlan.ts';
import type { Holdings } from '../../repository/collect/contents.ts';
import type { PackCatalog } from '../../repository/packs/packCatalog.ts';
import type { Repository } from '../../repository/repository.ts';

/** What comes free if each group alone is forgotten, and if all are: groups that share packs free more together. */
export interface Frees {
  groups: Amount[];
  all: Amount;
}

/**
 * Packs that nothing but these snapshots needs. Their manifests are read again; what is counted takes 8 bytes a pack.
 *
 * @param groups names of manifests.
 */
export async function freedBy(
  repository: Repository,
  holdings: Holdings,
  groups: string[][],
): Promise<Frees> {
  const { packs, revisions } = holdings;
  const all = new Count(packs);
  const own = new Count(packs);
  const frees: Amount[] = [];
  for (const names of groups) {
    if (names.length > 0) own.begin();
    for await (const manifest of repository.read(names, { revisions })) {
      for (const [session, number] of manifest.packs) {
        const place = packs.find(session, number);
        if (place === -1) continue;
        own.add(place);
        all.add(place);
      }
    }
    frees.push(names.length > 0 ? own.freed : { packs: 0, bytes: 0 });
  }
  return { groups: frees, all: all.freed };
}

/** Counts references until a pack has no others. */
class Count {
  readonly #packs: PackCatalog;
  #references: Uint32Array | undefined;
  freed: Amount = { packs: 0, bytes: 0 };

  constructor(packs: PackCatalog) {
    this.#packs = packs;
  }

  begin(): void {
    this.#references?.fill(0);
    this.freed = { packs: 0, bytes: 0 };
  }

  add(place: number): void {
    this.#references ??= new Uint32Array(this.#packs.size);
    if (++this.#references[place]! !== this.#packs.references(place)) return;
    this.freed.packs++;
    this.freed.bytes += this.#packs.sizeBytes(place);
  }
}
