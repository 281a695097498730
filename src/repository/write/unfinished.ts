import { ahead } from '../../base/ahead.ts';
import { epochOf } from '../keys/keys.ts';
import type { Manifest, PartRecord } from '../manifest.ts';
import { hasAllPacks } from '../newest.ts';
import { FAILS, RecordFolder } from '../records/recordFolder.ts';
import type { Repository } from '../repository.ts';

/** What sessions that have not ended, or never will, have stored so far: docs/format.md, "Unfinished sessions". */

/** After this long, by the storage's clock, nobody is expected to go on from it. */
export const UNFINISHED_DAYS = 14;
/** Sessions that a new one goes on from, the newest first. */
const GONE_ON_FROM_MAX = 4;
const READ_AT_ONCE = 4;

/** The JSON of `unfinished/<session>/<number>`. */
export interface UnfinishedContent extends Pick<Manifest, 'sessions' | 'epochs' | 'packs'> {
  format: 1;
  database: string;
  /** ISO 8601, UTC: when the session began, by the writer's clock. */
  started: string;
  /** All they refer to has been stored. */
  parts: PartRecord[];
}

/** Nothing goes on from one that is damaged, or can't be opened. */
const UNFINISHED = new RecordFolder<UnfinishedContent, null>('unfinished/', {
  damaged: null,
  tooNew: FAILS,
  newerKey: null,
});

export interface UnfinishedSession {
  session: string;
  /** Its objects. */
  names: string[];
  /** Of the last, which says most. */
  number: number;
  /** Of the last, by the storage's clock. */
  modified: Date;
}

/** Replaces what the session said before. */
export async function writeUnfinished(
  repository: Repository,
  session: string,
  number: number,
  content: Omit<UnfinishedContent, 'format'>,
): Promise<void> {
  await UNFINISHED.write(repository, idOf(session, number), content);
  if (number > 1) await UNFINISHED.remove(repository.storage, idOf(session, number - 1));
}

export async function removeUnfinished({ storage }: Repository, session: string): Promise<void> {
  for (const { id } of await UNFINISHED.list(storage, `${session}/`)) await UNFINISHED.remove(storage, id);
}

/** Oldest first. */
export async function listUnfinished({ storage }: Repository): Promise<UnfinishedSession[]> {
  const sessions = new Map<string, UnfinishedSession>();
  for (const { id, name, modified } of await UNFINISHED.list(storage)) {
    const [session, number] = id.split('/') as [string, string];
    const known = sessions.get(session);
    if (!known) sessions.set(session, { session, names: [name], number: Number(number), modified });
    else {
      known.names.push(name);
      known.number = Number(number);
      if (modified > known.modified) known.modified = modified;
    }
  }
  return [...sessions.values()];
}

/** Undefined where it is gone, null where it can't be read. */
export async function readUnfinished(
  repository: Repository,
  { session, number }: Pick<UnfinishedSession, 'session' | 'number'>,
): Promise<UnfinishedContent | null | undefined> {
  return UNFINISHED.read(repository, idOf(session, number));
}

/**
 * What can be gone on from: of that database, of the epoch that is written, with all its packs there. Newest first. One that
 * can't be read is passed over: it costs deduplication, no backup.
 */
export async function findUnfinished(
  repository: Repository,
  database: string,
  own: string,
): Promise<UnfinishedContent[]> {
  const found: UnfinishedContent[] = [];
  const sessions = (await listUnfinished(repository)).filter(each => each.session !== own).reverse();
  const { newest } = repository.keys;
  for await (const content of ahead(sessions, READ_AT_ONCE, each => readUnfinished(repository, each))) {
    if (content?.database !== database || content.parts.length === 0) continue;
    if (!Object.keys(content.sessions).every(id => epochOf(content, id) === newest)) continue;
    if (await hasAllPacks(repository, content)) found.push(content);
    if (found.length === GONE_ON_FROM_MAX) break;
  }
  return found;
}

function idOf(session: string, number: number): string {
  return `${session}/${String(number).padStart(6, '0')}`;
}
