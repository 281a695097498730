import { ahead } from '../../base/ahead.ts';
import { TidemarkError } from '../../base/errors.ts';
import { isMissing } from '../../storage/object.ts';
import { listOwn } from '../format/objectNames.ts';
import { epochOf } from '../keys/keys.ts';
import type { Manifest, PartRecord } from '../manifest.ts';
import { hasAllPacks } from '../newest.ts';
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

export interface UnfinishedSession {
  session: string;
  /** Its objects; the last says most. */
  names: string[];
  /** Of the last, by the storage's clock. */
  modified: Date;
}

/** Replaces what the session said before. */
export async function writeUnfinished(
  { storage, keys }: Repository,
  session: string,
  number: number,
  content: UnfinishedContent,
): Promise<void> {
  const name = nameOf(session, number);
  await storage.put(name, [keys.seal(name, content)]);
  if (number > 1) await storage.remove(nameOf(session, number - 1));
}

export async function removeUnfinished({ storage }: Repository, session: string): Promise<void> {
  const names: string[] = [];
  for await (const { name } of listOwn(storage, `unfinished/${session}/`)) names.push(name);
  for (const name of names) await storage.remove(name);
}

/** Oldest first. */
export async function listUnfinished({ storage }: Repository): Promise<UnfinishedSession[]> {
  const sessions = new Map<string, UnfinishedSession>();
  for await (const { name, modified } of listOwn(storage, 'unfinished/')) {
    const session = name.split('/')[1]!;
    const known = sessions.get(session);
    if (!known) sessions.set(session, { session, names: [name], modified });
    else {
      known.names.push(name);
      known.names.sort();
      if (modified > known.modified) known.modified = modified;
    }
  }
  return [...sessions.values()].sort((a, b) => (a.session < b.session ? -1 : 1));
}

/** Undefined where it is gone, null where it can't be read. */
export async function readUnfinished(
  { storage, keys }: Repository,
  { names }: UnfinishedSession,
): Promise<UnfinishedContent | null | undefined> {
  const name = names.at(-1)!;
  try {
    const content = keys.open(name, await storage.get(name), name) as UnfinishedContent;
    return content.format === 1 ? content : null;
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (error instanceof TidemarkError && error.kind !== 'failed') return null;
    throw error;
  }
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

function nameOf(session: string, number: number): string {
  return `unfinished/${session}/${String(number).padStart(6, '0')}`;
}
