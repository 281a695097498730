import { faultError, TidemarkError } from '../base/errors.ts';
import type { Storage } from '../storage/storage.ts';
import { packName } from './keys.ts';
import { type LiveLease, readLeases } from './lease.ts';
import { type Manifest, SESSION_ID } from './manifest.ts';
import type { Repository } from './repository.ts';

/** Everything in a repository that collection goes by, read in the order that docs/recovery.md ("Collection") needs. */
export interface Holdings {
  /** The storage's clock before anything was read. */
  readAt: Date;
  /** `<session>/<number>` → size. */
  packs: Map<string, number>;
  live: LiveLease[];
  /** Objects of leases that ended without being released. */
  deadLeases: string[];
  /** By the names of their manifests, here and below. */
  snapshots: Map<string, Manifest>;
  /** Null where the manifest can't be read. */
  forgotten: Map<string, Manifest | null>;
  /** Those of `forgotten` that were no snapshots any more when the snapshots were listed, and so never will be. */
  settled: Set<string>;
  condemned: CondemnedRecord[];
}

/** `[session, number, size in bytes]`, as in manifests. */
export type PackRef = Manifest['packs'][number];

/** What an object `condemned/<id>` says; `since` is its storage's time. */
export interface CondemnedRecord {
  id: string;
  since: Date;
  packs: PackRef[];
  /** Forgotten snapshots that refer to these packs, or may, and were settled when the packs were condemned. */
  settled: string[];
}

const PACK_NAME = /^packs\/(\d{8}-\d{9}-[0-9a-f]{8}\/\d{8})$/;

/** Manifests don't change: those in `known` are not read again. A snapshot that can't be read is MANIFEST_UNREADABLE. */
export async function readHoldings(repository: Repository, known?: Holdings): Promise<Holdings> {
  const { storage } = repository;
  const readAt = await storage.now();
  const packs = await readPacks(storage);
  const { live, dead } = await readLeases(storage, readAt);
  const forgottenBefore = await repository.forgottenNames();
  const snapshots = new Map<string, Manifest>();
  const listed = await repository.snapshotNames();
  for (const name of listed) {
    const manifest = known?.snapshots.get(name) ?? (await readSnapshot(repository, name));
    if (manifest) snapshots.set(name, manifest);
  }
  await addNewer(repository, packs, snapshots.values());
  const forgotten = new Map<string, Manifest | null>();
  for (const name of await repository.forgottenNames()) {
    const manifest =
      known?.snapshots.get(name) ?? known?.forgotten.get(name) ?? (await readForgotten(repository, name));
    if (manifest !== undefined) forgotten.set(name, manifest);
  }
  const still = new Set(listed);
  const settled = new Set(forgottenBefore.filter(name => !still.has(name)));
  const condemned = await readCondemned(repository);
  return { readAt, packs, live, deadLeases: dead, snapshots, forgotten, settled, condemned };
}

/** `<session>/<number>` → size. */
export async function readPacks(storage: Storage): Promise<Map<string, number>> {
  const packs = new Map<string, number>();
  for await (const object of storage.list('packs/')) {
    const name = PACK_NAME.exec(object.name)?.[1];
    if (name) packs.set(name, object.sizeBytes);
  }
  return packs;
}

/** Packs that were stored, and their snapshot committed, since the packs were listed. */
async function addNewer(
  repository: Repository,
  packs: Map<string, number>,
  manifests: Iterable<Manifest>,
): Promise<void> {
  const looked = new Set<string>();
  for (const manifest of manifests) {
    for (const [session, number] of manifest.packs) {
      const name = packName(session, number);
      if (packs.has(name) || looked.has(name)) continue;
      looked.add(name);
      const found = await repository.storage.stat(`packs/${name}`);
      if (found) packs.set(name, found.sizeBytes);
    }
  }
}

/** Undefined where it was forgotten between being listed and being read. */
async function readSnapshot(repository: Repository, name: string): Promise<Manifest | undefined> {
  try {
    return await repository.manifest(name);
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (!(error instanceof TidemarkError && error.kind === 'fault')) throw error;
    throw faultError(
      'MANIFEST_UNREADABLE',
      `snapshots/${name} can't be read, so nobody knows which packs it needs and none is collected: ${error.message}`,
      `restore the object from another copy of the repository, or give the snapshot up with 'tidemark forget ${name}'`,
      error,
    );
  }
}

async function readForgotten(repository: Repository, name: string): Promise<Manifest | null | undefined> {
  try {
    return await repository.manifest(name, 'forgotten');
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (error instanceof TidemarkError && error.kind === 'fault') return null;
    throw error;
  }
}

async function readCondemned(repository: Repository): Promise<CondemnedRecord[]> {
  const records: CondemnedRecord[] = [];
  for await (const { name, modified } of repository.storage.list('condemned/')) {
    const id = name.slice('condemned/'.length);
    if (!SESSION_ID.test(id)) continue;
    const record = await readRecord(repository, name);
    if (record) records.push({ id, since: modified, packs: record.packs, settled: record.settled });
  }
  return records.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** A record that can't be read condemns nothing. */
async function readRecord(repository: Repository, name: string): Promise<RecordContent | undefined> {
  let record: RecordContent;
  try {
    record = repository.keys.open(name, await repository.storage.get(name), name) as RecordContent;
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (error instanceof TidemarkError && error.kind === 'fault')
      return { format: 1, packs: [], settled: [] };
    throw error;
  }
  if (record.format === 1) return record;
  throw new TidemarkError(
    'FORMAT_TOO_NEW',
    `${name} has format ${String(record.format)}`,
    'use a newer tidemark',
  );
}

/** The JSON of `condemned/<id>`. */
export interface RecordContent {
  format: 1;
  packs: PackRef[];
  settled: string[];
}

/** Whether all packs of a snapshot are among these, with the sizes it knows. */
export function packsAreThere(packs: ReadonlyMap<string, number>, manifest: Manifest): boolean {
  return manifest.packs.every(
    ([session, number, sizeBytes]) => packs.get(packName(session, number)) === sizeBytes,
  );
}

const isMissing = (error: unknown): boolean =>
  error instanceof TidemarkError && error.code === 'OBJECT_MISSING';
