import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../src/repository/manifest.ts';

/**
 * A large repository, told by numbers: snapshot i of `snapshots` follows from i alone. Databases take turns, one snapshot a
 * minute or so. Each snapshot has stored packs of its own and refers to some of the last three of its database, with gaps, as
 * snapshots do. Among the newest lie two real ones, of a golden repository, whose key opens all of it: they can be read to
 * their last byte.
 */
export interface Size {
  snapshots: number;
  /** In all. */
  packs: number;
}

const DATABASES = 50;
/** Of the real ones. */
export const REAL_DATABASE = 'db';
const EVERY_MS = 72_000;
const PACK_BYTES = 16_777_216;
const GOLDEN = join(import.meta.dirname, '../compat/2026-12-format-1');
/** When the first real snapshot was taken; the two lie within seconds. */
const REAL_AT = Date.parse('2026-11-21T14:49:06.256Z');
/** Snapshots of other databases that are newer than the real ones. */
const NEWER = DATABASES - 1;

/** A name of a plan and its database. */
export const databaseName = (i: number): string => `database-${String(i % DATABASES).padStart(2, '0')}`;

export class World {
  readonly size: Size;
  /** Stored by each snapshot. */
  readonly packsEach: number;
  /** Those that were asked for. */
  readonly #sessions: string[] = [];

  constructor(size: Size) {
    this.size = size;
    this.packsEach = Math.max(1, Math.round(size.packs / Math.max(1, size.snapshots)));
  }

  /** The storage's clock: an hour after the newest. */
  get now(): Date {
    return new Date(this.#time(Math.max(0, this.size.snapshots - 1)) + 3_600_000);
  }

  #time(i: number): number {
    const newer = i - (this.size.snapshots - NEWER);
    return REAL_AT + (newer < 0 ? newer : newer + 1) * EVERY_MS;
  }

  time(i: number): Date {
    return new Date(this.#time(i));
  }

  /** The session, and id, of a snapshot. */
  session(i: number): string {
    this.#sessions[i] ??= this.#newSession(i);
    return this.#sessions[i];
  }

  #newSession(i: number): string {
    const stamp = this.time(i)
      .toISOString()
      .replace(/[-:.Z]/g, '')
      .replace('T', '-');
    return `${stamp}-${i.toString(16).padStart(8, '0')}`;
  }

  /** The number of a session; undefined where it is none of these. */
  find(session: string): number | undefined {
    const i = Number.parseInt(session.slice(19), 16);
    return i < this.size.snapshots && this.session(i) === session ? i : undefined;
  }

  packBytes(i: number, number: number): number {
    return PACK_BYTES - ((i * 31 + number * 17) % 1000) * 1000;
  }

  /** Of the packs of the snapshot that its database had so many before, those that are still referred to. */
  *#named(i: number): Iterable<[of: number, number: number, share: number]> {
    for (const [back, chosen, share] of STILL_NAMED) {
      const of = i - back * DATABASES;
      if (of < 0) continue;
      for (let number = 1; number <= this.packsEach; number++) if (chosen(number)) yield [of, number, share];
    }
  }

  manifest(i: number): Manifest {
    const named = [...this.#named(i)];
    const of = (k: number) => this.session(k);
    const sessions = [...new Set(named.map(([k]) => k))];
    const database = databaseName(i);
    const bytes = this.packsEach * 60_000_000;
    const [tables, rows, chunks] = [200, this.packsEach * 400_000, this.packsEach * 6000];
    return {
      ...{ format: 1, snapshot: of(i), database, plan: `hourly-${database}`, kind: 'logical' },
      ...{ started: this.time(i).toISOString(), finished: new Date(this.#time(i) + 60_000).toISOString() },
      base: i >= DATABASES ? of(i - DATABASES) : null,
      tool: '0.1.0',
      source: {
        ...{ database, host: 'db.example.com:5432', serverVersion: '18.1', serverVersionNum: 180001 },
        ...{
          encoding: 'UTF8',
          collate: 'en_US.UTF-8',
          ctype: 'en_US.UTF-8',
          localeProvider: 'c',
          icuLocale: null,
        },
        sizeBytes: bytes * 2,
        ...{ pgDump: 'native 18.1', tables, rows, largeObjects: 0 },
      },
      scope: { tables: [], excludeTables: [], schemaOnly: false, dataOnly: false, rolePasswords: true },
      counts: {
        parts: tables,
        bytesRead: bytes,
        bytesAdded: 9_000_000,
        chunks,
        chunksAdded: 900,
      },
      sessions: Object.fromEntries(sessions.map(k => [of(k), digest(`salt ${k}`, 16).toString('hex')])),
      packs: named.map(([k, number]) => [of(k), number, this.packBytes(k, number)]),
      usage: {
        listBytes: 120_000,
        packs: named.map(([k, number, share]) => {
          const plain = 4 * this.packBytes(k, number) - (number % 97) * 1013;
          return [Math.floor(plain * share) - ((i + number) % 89), plain];
        }),
      },
      streams: {
        archive: { list: digest(`archive ${i % DATABASES}`, 900).toString('base64url') },
        globals: { list: digest(`globals ${i % DATABASES}`, 24).toString('base64url') },
        parts: { list: digest(`parts ${i}`, 400).toString('base64url') },
      },
    };
  }
}

/** How many snapshots of the database back, which of its packs, and how much of each is in use. */
const STILL_NAMED: readonly [back: number, chosen: (number: number) => boolean, share: number][] = [
  [3, number => number % 4 === 1, 0.5],
  [2, number => number % 2 === 1, 0.6],
  [1, number => number % 4 !== 0, 0.8],
  [0, () => true, 1],
];

const digest = (text: string, bytes: number): Buffer =>
  createHash('shake256', { outputLength: bytes }).update(text).digest();

/** A folder with the strategy, the key, and in `objects/` what is real of each repository. */
export function makeSite(folder: string, world: World): void {
  rmSync(folder, { recursive: true, force: true });
  for (const name of REPOSITORIES) {
    mkdirSync(join(folder, name), { recursive: true });
    cpSync(join(GOLDEN, 'repository'), join(folder, name), { recursive: true });
  }
  cpSync(join(GOLDEN, 'tidemark.key'), join(folder, 'tidemark.key'));
  const keep = Math.max(1, Math.floor((world.size.snapshots / DATABASES) * 0.99));
  const databases = Array.from({ length: DATABASES }, (_, i) => databaseName(i));
  const strategy = (storage: string) => [
    'databases:',
    ...[...databases, REAL_DATABASE].map(
      name => `  ${name}: { url: "postgresql://nobody@127.0.0.1:1/none" }`,
    ),
    'repositories:',
    ...REPOSITORIES.map(name => `  ${name}: { storage: "${storage}${name}", key: { file: ./tidemark.key } }`),
    'plans:',
    ...databases.map(
      name =>
        `  hourly-${name}: { database: ${name}, schedule: "0 * * * *", store: [main], keep: { last: ${keep} } }`,
    ),
  ];
  writeFileSync(join(folder, 'tidemark.yaml'), `${strategy('s3://simulated/').join('\n')}\n`);
  writeFileSync(join(folder, 'local.yaml'), `${strategy('./').join('\n')}\n`);
}

export const REPOSITORIES = ['main', 'archive'] as const;

export const keyOf = (folder: string): string => readFileSync(join(folder, 'tidemark.key'), 'utf8');
