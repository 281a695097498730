import { faultError, type TidemarkError } from '../../base/errors.ts';
import { Interned } from '../../base/interned.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import { type Hold, readHolds } from '../guards/holds.ts';
import { type LiveLease, readLeases } from '../guards/lease.ts';
import { type Manifest, manifestName } from '../manifest.ts';
import { PackCatalog } from '../packs/packCatalog.ts';
import { PackChecks } from '../packs/packChecks.ts';
import type { Repository } from '../repository.ts';
import { currentRevision, listRevisions, type Revisions } from '../revisions.ts';
import { listCompactions } from '../rewrite/compactions.ts';
import { listUnfinished, readUnfinished, type UnfinishedSession } from '../write/unfinished.ts';
import { type CondemnedRecord, readCondemned } from './condemned.ts';

/** Everything in a repository that collection goes by, read in the order that docs/recovery.md ("Collection") needs. */
export interface Holdings {
  /** The storage's clock before anything was read. */
  readAt: Date;
  packs: PackCatalog;
  checks: PackChecks;
  /** By session: the database that its packs are of. */
  databases: Map<string, string>;
  live: LiveLease[];
  /** Objects of leases that ended without being released. */
  deadLeases: string[];
  /** Sessions of compactions that may still write revisions. */
  compacting: ReadonlySet<string>;
  revisions: ReadonlyMap<string, Revisions>;
  unfinished: HeldUnfinished[];
  /** By the names of their manifests, here and below; oldest first. */
  snapshots: Map<string, HeldSnapshot>;
  forgotten: string[];
  /** Those of `forgotten` that were no snapshots any more when the snapshots were listed, and so never will be. */
  settled: ReadonlySet<string>;
  condemned: CondemnedRecord[];
  /** By the ids of snapshots, which may not be there any more. */
  holds: ReadonlyMap<string, Hold[]>;
}

/** What a session that was cut off, or is running, has said to have stored. */
export interface HeldUnfinished extends UnfinishedSession {
  /** Undefined where it can't be read. */
  database: string | undefined;
  /** Places of the packs that it names, and of its own. */
  places: Uint32Array;
}

/** What is kept of a snapshot's manifest, which may be long, once its packs are in the catalog. */
export interface HeldSnapshot
  extends Pick<
    Manifest,
    'snapshot' | 'copied' | 'database' | 'plan' | 'started' | 'finished' | 'scope' | 'counts'
  > {
  /** All its packs are there, with the sizes it knows, and none was found damaged. */
  good: boolean;
  /** Bytes of chunk lists that were stored with it; null where it doesn't say. */
  listBytes: number | null;
  /** The number of its revision, and the places of packs that were dropped by that and are still there. */
  revision: number;
  dropped: Uint32Array;
}

/**
 * Reads it all, or what may have changed since `known`, which must not be used after that: manifests don't change, and
 * packs stored since then are of no concern. A snapshot that can't be read is MANIFEST_UNREADABLE.
 */
export async function readHoldings(repository: Repository, known?: Holdings): Promise<Holdings> {
  const { storage } = repository;
  const readAt = await storage.now();
  const packs = known?.packs ?? (await PackCatalog.list(storage));
  const { live, dead } = await readLeases(storage, readAt);
  const compacting = await listCompactions(storage);
  const revisions = await listRevisions(storage);
  const unfinished = await readUnfinishedSessions(repository, packs);
  const forgottenBefore = await repository.forgottenNames();
  const listed = await repository.snapshotNames();
  const checks = known?.checks ?? (await PackChecks.read(repository));
  const entering = new Entering(repository, packs, checks, known?.databases);
  const snapshots = await readSnapshots(entering, listed, revisions, known);
  const forgotten = await repository.forgottenNames();
  const still = new Set(listed);
  const settled = new Set(forgottenBefore.filter(name => !still.has(name)));
  const condemned = await readCondemned(repository, packs);
  return {
    ...{ readAt, packs, checks, databases: entering.databases, live, deadLeases: dead, compacting },
    ...{ revisions, unfinished, snapshots, forgotten, settled, condemned },
    holds: await readHolds(repository, readAt),
  };
}

async function readUnfinishedSessions(repository: Repository, packs: PackCatalog): Promise<HeldUnfinished[]> {
  const held: HeldUnfinished[] = [];
  for (const each of await listUnfinished(repository)) {
    const content = await readUnfinished(repository, each);
    if (content === undefined) continue; // its snapshot exists by now
    const named = (content?.packs ?? []).map(([session, number]) => packs.find(session, number));
    const places = [...named.filter(place => place !== -1), ...packs.placesOf(each.session)];
    held.push({ ...each, database: content?.database, places: Uint32Array.from(places) });
  }
  return held;
}

/** Enters the snapshots' packs in the catalog, and takes out those of snapshots that are no more. */
async function readSnapshots(
  entering: Entering,
  listed: string[],
  revisions: ReadonlyMap<string, Revisions>,
  known?: Holdings,
): Promise<Map<string, HeldSnapshot>> {
  const { repository, packs } = entering;
  const snapshots = new Map<string, HeldSnapshot>();
  const old = known?.snapshots ?? new Map<string, HeldSnapshot>();
  const stays = (name: string) => old.get(name)?.revision === currentRevision(revisions.get(name));
  const still = new Set(listed.filter(stays));
  for (const [name, { revision, good }] of old) {
    if (still.has(name)) continue;
    // What was not all there was not all counted.
    const before = good ? await named(repository, name, revision) : undefined;
    if (before) packs.refer(before, -1); // else its packs stay until everything is read again
  }
  const reading = repository.read(
    listed.filter(name => !still.has(name)),
    { revisions, damaged: unreadable },
  );
  for await (const manifest of reading) snapshots.set(manifestName(manifest), await entering.enter(manifest));
  for (const name of still) snapshots.set(name, old.get(name)!);
  return new Map([...snapshots].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What a manifest said that has been forgotten or revised since; undefined where nobody can say. */
async function named(repository: Repository, name: string, revision: number): Promise<Manifest | undefined> {
  const folders = revision === 0 ? (['forgotten', 'snapshots'] as const) : (['snapshots'] as const);
  for (const folder of folders) {
    const found = await repository.revision(name, revision, folder).catch(() => undefined);
    if (found) return found;
  }
  return undefined;
}

/** Of the many snapshots that have no revision. */
const NONE_DROPPED = new Uint32Array(0);

class Entering {
  readonly repository: Repository;
  readonly packs: PackCatalog;
  readonly #checks: PackChecks;
  readonly databases: Map<string, string>;
  /** Sessions that were looked at again, since some of their packs were not there when all were listed. */
  readonly #lookedAt = new Set<string>();
  readonly #scopes = new Interned<Manifest['scope']>();

  constructor(
    repository: Repository,
    packs: PackCatalog,
    checks: PackChecks,
    databases = new Map<string, string>(),
  ) {
    this.repository = repository;
    this.packs = packs;
    this.#checks = checks;
    this.databases = databases;
  }

  async enter(manifest: Manifest): Promise<HeldSnapshot> {
    await this.#addNewer(manifest);
    const whole = manifest.packs.every(pack => this.packs.holds(pack));
    const good = whole && this.#checks.hurting(manifest).length === 0;
    // What is damaged is not moved.
    this.packs.refer(good ? manifest : { packs: manifest.packs });
    for (const session of Object.keys(manifest.sessions))
      if (!this.databases.has(session)) this.databases.set(session, manifest.database);
    const { snapshot, copied, database, plan, started, finished, counts, revised, usage } = manifest;
    const dropped = (revised?.dropped ?? []).map(([session, number]) => this.packs.find(session, number));
    return {
      ...{ snapshot, copied, database, plan, started, finished, counts },
      scope: this.#scopes.once(manifest.scope),
      good,
      listBytes: usage?.listBytes ?? null,
      revision: revised?.number ?? 0,
      dropped: dropped.length === 0 ? NONE_DROPPED : Uint32Array.from(dropped.filter(place => place !== -1)),
    };
  }

  /** Packs that were stored, and their snapshot committed, since the packs were listed. */
  async #addNewer({ packs }: Manifest): Promise<void> {
    for (const [session, number] of packs) {
      if (this.#lookedAt.has(session) || this.packs.find(session, number) !== -1) continue;
      this.#lookedAt.add(session);
      await this.packs.addListed(this.repository.storage, `packs/${session}/`);
    }
  }
}

function unreadable(name: string, error: TidemarkError): never {
  if (error.kind !== 'fault') throw error;
  throw faultError(
    'MANIFEST_UNREADABLE',
    `snapshots/${name} can't be read, so nobody knows which packs it needs and none is collected: ${error.message}`,
    `${DAMAGE_HINT}; or give the snapshot up: tidemark forget ${name}`,
    error,
  );
}
