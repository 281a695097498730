import { invariant } from '../base/errors.ts';
import { isMissing } from '../storage/object.ts';
import { packName } from './keys.ts';
import { newSessionId, SESSION_ID } from './manifest.ts';
import { HEADER, type Repository } from './repository.ts';

/** Extensions under way at once. */
const AT_ONCE = 8;
/** Of a lock's time: after this part of it everything that is needed is locked anew. */
const RENEWED_AFTER = 1 / 4;

/** The JSON of `locked/<id>`: until then everything was locked that was needed when it was written. */
interface LockRecord {
  format: 1;
  until: string;
}

/**
 * Locks anew what these snapshots need, if the last time is a quarter of the lock's time ago: with a prune at least that
 * often, nothing that is kept is ever locked for less than half of it. Does nothing where the repository's policy has no
 * lock.
 *
 * @param names manifests of snapshots that retention wants.
 * @param signal heeded between objects; what was extended stays so.
 * @returns how many objects were locked anew.
 */
export async function keepLocks(
  repository: Repository,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<number> {
  const { storage, policy } = repository;
  const { lock } = policy;
  if (!lock || !storage.locks) return 0;
  const now = await storage.now();
  const last = await lastRecord(repository);
  if (last && last.until.getTime() - now.getTime() > lock.forMs * (1 - RENEWED_AFTER)) return 0;
  const until = new Date(now.getTime() + lock.forMs);
  const objects = await neededBy(repository, names);
  const queue = objects.values();
  const worker = async () => {
    for (const name of queue) {
      signal?.throwIfAborted();
      await storage.locks!.extend(name, { mode: lock.mode, until });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  await record(repository, now, until, last?.name);
  return objects.length;
}

async function neededBy(repository: Repository, names: readonly string[]): Promise<string[]> {
  const objects = new Set<string>([HEADER]);
  for await (const { name } of repository.storage.list('keys/')) objects.add(name);
  for await (const { name } of repository.storage.list('epochs/')) objects.add(name);
  for (const name of names) {
    const manifest = await repository.manifest(name).catch(error => {
      if (isMissing(error)) return undefined; // forgotten meanwhile
      throw error;
    });
    if (!manifest) continue;
    objects.add(`snapshots/${name}`);
    for await (const revision of repository.storage.list(`revisions/${name}/`)) objects.add(revision.name);
    for (const [session, number] of manifest.packs) objects.add(`packs/${packName(session, number)}`);
  }
  return [...objects];
}

async function lastRecord({ storage, keys }: Repository): Promise<{ name: string; until: Date } | undefined> {
  let newest: string | undefined;
  for await (const { name } of storage.list('locked/'))
    if (SESSION_ID.test(name.slice('locked/'.length)) && (newest === undefined || name > newest))
      newest = name;
  if (newest === undefined) return undefined;
  const content = keys.open(newest, await storage.get(newest), newest) as LockRecord;
  invariant(content.format === 1, `${newest} has format ${content.format}`);
  return { name: newest, until: new Date(content.until) };
}

async function record(
  { storage, keys }: Repository,
  now: Date,
  until: Date,
  before: string | undefined,
): Promise<void> {
  const name = `locked/${newSessionId(now)}`;
  const content: LockRecord = { format: 1, until: until.toISOString() };
  await storage.put(name, [keys.seal(name, content)]);
  if (before) await storage.remove(before);
}
