import { ahead } from '../../base/ahead.ts';
import { TidemarkError } from '../../base/errors.ts';
import { isMissing } from '../../storage/object.ts';
import type { Manifest } from '../manifest.ts';
import type { PackCatalog } from '../packs/packCatalog.ts';
import { type Runs, runsOf } from '../packs/packRuns.ts';
import type { Repository } from '../repository.ts';
import { currentRevision, revisionName } from '../revisions.ts';
import type { Holdings } from './contents.ts';

/** Runs of retired manifests held in memory; of the others the manifests are read again when they are asked for. */
const RUNS_HELD = 8_000_000;
const READ_AT_ONCE = 16;

/**
 * What named packs and counts no more: a forgotten snapshot, or what a revision dropped. A backup that found it before that
 * may still come to refer to those packs.
 */
export interface Retired {
  /** As `settled` has it: a manifest's name, or that and a revision's number. */
  key: string;
  /** Nobody can find it any more. */
  settled: boolean;
  /** What is to be removed once it tells nothing; nothing where it has to stay. */
  objects: string[];
}

/** Null: it can't be read. Undefined: it is gone. */
type Named = Runs | null | undefined;

export class RetiredManifests {
  readonly all: Retired[] = [];
  readonly #repository: Repository;
  readonly #holdings: Holdings;
  readonly #sources = new Map<string, () => Promise<Named>>();
  readonly #held = new Map<string, Named>();
  #room = RUNS_HELD;

  /** `forgetting`: snapshots to be treated as if they had just been forgotten. */
  constructor(repository: Repository, holdings: Holdings, forgetting: ReadonlySet<string>) {
    this.#repository = repository;
    this.#holdings = holdings;
    for (const name of holdings.forgotten) {
      // One whose forgetting was cut short is still a snapshot.
      if (!holdings.snapshots.has(name)) this.#addForgotten(name);
    }
    for (const name of forgetting) this.#add(name, false, [], () => this.#listed(name));
    for (const [name, numbers] of holdings.revisions) {
      if (holdings.snapshots.has(name)) this.#addRevisions(name, numbers, currentRevision(numbers));
    }
  }

  #add(key: string, settled: boolean, objects: string[], source: () => Promise<Named>): void {
    this.all.push({ key, settled, objects });
    this.#sources.set(key, source);
  }

  #addForgotten(name: string): void {
    const numbers = this.#holdings.revisions.get(name) ?? [];
    const revisions = numbers.filter(number => number > 0);
    const objects = [...numbers.map(number => revisionName(name, Math.abs(number))), `forgotten/${name}`];
    this.#add(name, this.#holdings.settled.has(name), objects, () =>
      this.#read(name, [0, ...revisions], 'forgotten'),
    );
  }

  #addRevisions(name: string, numbers: readonly number[], current: number): void {
    for (const number of numbers) {
      if (number < 0 || number > current) continue;
      const key = `${name}/${number}`;
      if (number === current)
        this.#add(key, true, [], async () => runsOf(this.#holdings.snapshots.get(name)!.dropped));
      else this.#add(key, true, [revisionName(name, number)], () => this.#dropped(name, number));
    }
  }

  /** Some of them with the places of the packs that they named, in their order, read a few at a time. */
  each(chosen: (retired: Retired) => boolean): AsyncIterable<{ retired: Retired; packs: Named }> {
    return ahead(this.all.filter(chosen), READ_AT_ONCE, async retired => ({
      ...{ retired, packs: await this.#packs(retired) },
    }));
  }

  async #packs({ key }: Retired): Promise<Named> {
    if (this.#held.has(key)) return this.#held.get(key);
    const named = await this.#sources.get(key)!();
    const length = named?.length ?? 0;
    if (length <= this.#room) {
      this.#room -= length;
      this.#held.set(key, named);
    }
    return named;
  }

  async #read(name: string, numbers: number[], folder?: 'forgotten'): Promise<Named> {
    const places = new Set<number>();
    let found = false;
    for (const number of numbers) {
      const manifest = await readable(this.#repository.revision(name, number, folder));
      if (manifest === null) return null;
      if (manifest === undefined) continue;
      found = true;
      for (const place of namedIn(manifest, this.#holdings.packs)) places.add(place);
    }
    return found ? runsOf(places) : undefined;
  }

  async #listed(name: string): Promise<Named> {
    const { revision } = this.#holdings.snapshots.get(name)!;
    const manifest = await readable(this.#repository.revision(name, revision));
    return manifest && runsOf(placesOf(manifest.packs, this.#holdings.packs));
  }

  async #dropped(name: string, number: number): Promise<Named> {
    const manifest = await readable(this.#repository.revision(name, number));
    return manifest && runsOf(placesOf(manifest.revised?.dropped ?? [], this.#holdings.packs));
  }
}

async function readable(reading: Promise<Manifest>): Promise<Manifest | null | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (error instanceof TidemarkError && error.kind === 'fault') return null;
    throw error;
  }
}

function* namedIn({ packs, revised }: Manifest, catalog: PackCatalog): Iterable<number> {
  yield* placesOf(packs, catalog);
  yield* placesOf(revised?.dropped ?? [], catalog);
}

function* placesOf(
  packs: readonly (readonly [string, number, ...unknown[]])[],
  catalog: PackCatalog,
): Iterable<number> {
  for (const [session, number] of packs) {
    const place = catalog.find(session, number);
    if (place !== -1) yield place;
  }
}
