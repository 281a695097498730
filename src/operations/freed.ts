import type { Amount } from '../repository/collect.ts';
import type { Holdings } from '../repository/holdings.ts';
import { packName } from '../repository/keys.ts';

/**
 * What would come free if these snapshots were forgotten, and no others: packs that nothing but they needs. Two that
 * share packs with each other free more together than the two sums say.
 */
export class Freed {
  readonly #holdings: Pick<Holdings, 'snapshots' | 'packs'>;
  /** By how many snapshots a pack is needed. */
  readonly #needs = new Map<string, number>();

  constructor(holdings: Pick<Holdings, 'snapshots' | 'packs'>) {
    this.#holdings = holdings;
    for (const name of holdings.snapshots.keys()) {
      for (const pack of this.#packsOf(name)) this.#needs.set(pack, (this.#needs.get(pack) ?? 0) + 1);
    }
  }

  /** `names` are those of manifests. */
  by(names: Iterable<string>): Amount {
    const left = new Map<string, number>();
    const freed: Amount = { packs: 0, bytes: 0 };
    for (const name of names) {
      for (const pack of this.#packsOf(name)) {
        const needs = (left.get(pack) ?? this.#needs.get(pack)!) - 1;
        left.set(pack, needs);
        const sizeBytes = this.#holdings.packs.get(pack);
        if (needs > 0 || sizeBytes === undefined) continue;
        freed.packs++;
        freed.bytes += sizeBytes;
      }
    }
    return freed;
  }

  #packsOf(name: string): string[] {
    const packs = this.#holdings.snapshots.get(name)?.packs ?? [];
    return packs.map(([session, number]) => packName(session, number));
  }
}
