import { TidemarkError } from '../../base/errors.ts';
import { isMissing } from '../../storage/object.ts';
import type { Storage } from '../../storage/storage.ts';
import { listOwn } from '../format/objectNames.ts';
import { readLeases } from '../guards/lease.ts';
import type { Repository } from '../repository.ts';
import { listRevisions, nextRevision, revisionName } from '../revisions.ts';

/** Which revisions a compaction may write, so that one that died can be kept from it: docs/recovery.md, "Compaction". */

const PREFIX = 'compactions/';

/** `[name, number]` of revisions. */
export type Announced = [manifest: string, number: number][];

/** The JSON of `compactions/<session>`. */
interface Announcement {
  format: 1;
  revisions: Announced;
}

/** Before any of these revisions is written, and before the lease is looked at again. */
export async function announce(repository: Repository, session: string, revisions: Announced): Promise<void> {
  const name = PREFIX + session;
  const content: Announcement = { format: 1, revisions };
  await repository.storage.put(name, [repository.keys.seal(name, content)], { ifAbsent: true });
}

/** After the last of them was written, or given up. */
export async function withdraw({ storage }: Repository, session: string): Promise<void> {
  await storage.remove(PREFIX + session);
}

/** Sessions of compactions that may still write revisions. */
export async function listCompactions(storage: Storage): Promise<Set<string>> {
  const sessions = new Set<string>();
  for await (const { name } of listOwn(storage, PREFIX)) sessions.add(name.slice(PREFIX.length));
  return sessions;
}

/**
 * Ends compactions whose lease has ended: every number that they could still use is taken, by their own revision or by a
 * void one, and then they are forgotten. For whoever has the right to collect, before it looks at anything else.
 */
export async function endDeadCompactions(repository: Repository): Promise<void> {
  const { storage } = repository;
  const { live } = await readLeases(storage, await storage.now());
  const running = new Set(live.map(lease => lease.session));
  for (const session of await listCompactions(storage)) {
    if (running.has(session)) continue;
    for (const [name, number] of await announced(repository, session)) await take(storage, name, number);
    await withdraw(repository, session);
  }
}

async function take(storage: Storage, name: string, number: number): Promise<void> {
  try {
    await storage.put(revisionName(name, number), [], { ifAbsent: true });
  } catch (error) {
    if ((error as TidemarkError).code !== 'OBJECT_EXISTS') throw error;
  }
}

/** If it can't be read it may have meant any snapshot, and of each the number that comes next. */
async function announced(repository: Repository, session: string): Promise<Announced> {
  const name = PREFIX + session;
  try {
    const sealed = await repository.storage.get(name);
    return (repository.keys.open(name, sealed, name) as Announcement).revisions;
  } catch (error) {
    if (isMissing(error)) return [];
    if (!(error instanceof TidemarkError && error.kind === 'fault')) throw error;
  }
  const revisions = await listRevisions(repository.storage);
  return (await repository.snapshotNames()).map(each => [each, nextRevision(revisions.get(each))]);
}
