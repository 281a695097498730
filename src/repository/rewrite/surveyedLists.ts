import type { ListRef, UsedPack } from '../format/chunkList.ts';

/** Lists remembered; of those beyond, the oldest are read again when they come up again. A list takes some 300 bytes. */
const LISTS_HELD = 200_000;

/** What is known of a chunk list. */
export interface SurveyedList {
  /** It lies in a pack that is being emptied, or names one. */
  moves: boolean;
  /** The packs that it names, and its own; and how much of them. */
  packs: UsedPack[];
  /** Where it was stored with its new places. */
  ref?: ListRef;
  /** It can't be read whole, or names chunks that can't be. */
  lost?: boolean;
}

/** Lists that were read once, by where they lie: snapshots share them. */
export class SurveyedLists {
  readonly #lists = new Map<string, SurveyedList>();

  get(ref: ListRef): SurveyedList | undefined {
    return 'at' in ref ? this.#lists.get(ref.at.join(' ')) : undefined;
  }

  /** Lists that stand where they are needed are not remembered: they cost nothing to read. */
  set(ref: ListRef, list: SurveyedList): void {
    if (!('at' in ref)) return;
    const key = ref.at.join(' ');
    if (!this.#lists.has(key) && this.#lists.size >= LISTS_HELD)
      this.#lists.delete(this.#lists.keys().next().value!);
    this.#lists.set(key, list);
  }
}
