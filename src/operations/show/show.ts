import { TidemarkError } from '../../base/errors.ts';
import type { Scope, SourceFacts } from '../../capture/logical/part.ts';
import { detect } from '../../providers/index.ts';
import { packName } from '../../repository/format/packName.ts';
import type { Counts, Manifest } from '../../repository/manifest.ts';
import { missingPacks } from '../../repository/newest.ts';
import { PackChecks } from '../../repository/packs/packChecks.ts';
import type { Repository } from '../../repository/repository.ts';
import type { StoredPart } from '../../restore/parts.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { holdsOf, type ShownHold } from '../hold.ts';
import type { OpenPlace } from '../open/open.ts';
import type { OpenSnapshot } from '../open/openSnapshot.ts';
import { type Located, type LocateOptions, openGiven } from '../open/snapshots.ts';
import { type StoredBytesBy, storedBytes } from './storedBytes.ts';

/** What a snapshot holds; sizes in bytes, times ISO 8601. It is what `tidemark show --json` prints. */
export interface Shown {
  snapshot: string;
  /** Where it was read, the sizes are those there. */
  repository: string;
  /** All that have it, of those that were looked at. */
  repositories: string[];
  /** Packs that it needs, and that verify found damaged there, are missing or have another size. */
  damagedPacks: number;
  /** Other repositories in which its manifest can't be opened, or packs that it needs are damaged or missing. */
  damagedIn: string[];
  database: string;
  plan: string | null;
  kind: Manifest['kind'];
  started: string;
  finished: string;
  /** The snapshot it was deduplicated against: it does not depend on it. */
  base: string | null;
  /** Of a copy: when and by what it was copied, and the id of the repository it was read from. */
  copied: Manifest['copied'] | null;
  /** Versions of tidemark, and of the pg_dump that read the schema. */
  tool: string;
  pgDump: string;
  /** The provider is told by the host's name. */
  source: SourceFacts & { provider: string };
  /** What was asked for; empty lists mean everything, and that nothing was left out. */
  scope: Scope;
  /** Wherever it is, those that have expired too. */
  holds: ShownHold[];
  counts: Counts & { tables: number; rows: number; largeObjects: number };
  /** The biggest first. */
  tables: ShownTable[];
  largeObjects: { count: number; bytes: number; storedBytes: number };
  /** How `storedBytes` was estimated; see storedBytes.ts. */
  storedBytesBy: StoredBytesBy;
  /** Definitions by kind, in pg_dump's words: `{ "TABLE": 12, "INDEX": 30 }`. */
  objects: Record<string, number>;
  roles: { name: string; login: boolean; superuser: boolean; hasPassword: boolean }[];
}

export interface ShownTable {
  schema: string;
  name: string;
  rows: number;
  /** Plain bytes: COPY text. */
  bytes: number;
  /** About what they take in the storage, compressed, whichever snapshot stored them. */
  storedBytes: number;
}

/** @param given a snapshot's id, the start or the end of one, or the name of a database: then its latest snapshot. */
export async function show(
  strategy: Strategy,
  given: string,
  options: LocateOptions,
  signal: AbortSignal,
): Promise<Shown> {
  const { located, place, opened: snapshot } = await openGiven(strategy, given, options);
  const { manifest, parts } = snapshot;
  const { source } = manifest;
  const stored = storedBytes(snapshot);
  const tables: ShownTable[] = [];
  for (const own of partsByTable(parts)) {
    signal.throwIfAborted();
    const { schema, table } = own[0]!;
    tables.push({ schema, name: table, ...sums(own), storedBytes: await stored.of(own) });
  }
  const blobs = parts.filter(part => part.kind === 'largeObjects');
  return {
    damagedPacks: await damagedPacks(place.repository, manifest),
    damagedIn: await damagedElsewhere(located, place),
    ...{ snapshot: manifest.snapshot, repository: place.name, database: manifest.database },
    repositories: [...new Set(located.places.map(each => each.place.name))],
    copied: manifest.copied ?? null,
    ...{ plan: manifest.plan, kind: manifest.kind, started: manifest.started, finished: manifest.finished },
    ...{ base: manifest.base, tool: manifest.tool, pgDump: source.pgDump },
    source: { ...source, provider: providerOf(source.host) },
    scope: manifest.scope,
    holds: await holdsOf(
      located.places.map(each => each.place),
      manifest.snapshot,
    ),
    counts: {
      ...manifest.counts,
      tables: source.tables,
      rows: source.rows,
      largeObjects: source.largeObjects,
    },
    tables: tables.sort((a, b) => b.bytes - a.bytes),
    largeObjects: {
      count: source.largeObjects,
      bytes: sums(blobs).bytes,
      storedBytes: await stored.of(blobs),
    },
    storedBytesBy: stored.by,
    objects: countObjects(snapshot),
    roles: snapshot.globals.roles.map(({ name, login, superuser, password }) => ({
      ...{ name, login, superuser, hasPassword: password !== null },
    })),
  };
}

async function damagedPacks(repository: Repository, manifest: Manifest): Promise<number> {
  const checks = await PackChecks.read(repository);
  const damaged = checks.hurting(manifest).map(({ session, number }) => `packs/${packName(session, number)}`);
  return new Set([...damaged, ...(await missingPacks(repository, manifest))]).size;
}

/** Each other repository that has it is looked at too: what can't be opened there is no copy. */
async function damagedElsewhere({ places }: Located, own: OpenPlace): Promise<string[]> {
  const damaged = new Set<string>();
  for (const { place, name } of places) {
    if (place === own) continue;
    try {
      const manifest = await place.repository.manifest(name);
      if ((await damagedPacks(place.repository, manifest)) > 0) damaged.add(place.name);
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      damaged.add(place.name);
    }
  }
  return [...damaged];
}

function partsByTable(parts: readonly StoredPart[]): StoredPart[][] {
  const byTable = new Map<string, StoredPart[]>();
  for (const part of parts) {
    if (part.kind !== 'rows') continue;
    const key = JSON.stringify([part.schema, part.table]);
    const known = byTable.get(key);
    if (known) known.push(part);
    else byTable.set(key, [part]);
  }
  return [...byTable.values()];
}

function sums(parts: readonly StoredPart[]): { rows: number; bytes: number } {
  const sum = (of: (part: StoredPart) => number) => parts.reduce((total, part) => total + of(part), 0);
  return { rows: sum(part => part.rows), bytes: sum(part => part.bytes) };
}

/** Entries of the archive that are no objects of the database, but settings of the session that restores it. */
const SETTINGS = new Set(['ENCODING', 'STDSTRINGS', 'SEARCHPATH', 'DATABASE', 'DATABASE PROPERTIES']);

/** Entries that define something, rows aside. */
function countObjects({ archive }: OpenSnapshot): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { section, desc } of archive.entries) {
    if ((section === 'pre-data' || section === 'post-data') && !SETTINGS.has(desc))
      counts.set(desc, (counts.get(desc) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)));
}

/** Hosts as a manifest has them: `host:port`, with commas between. */
function providerOf(hosts: string): string {
  return detect({ addresses: hosts.split(',').map(each => ({ host: each.replace(/:\d+$/, '') })) }).id;
}
