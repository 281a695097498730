import type { TidemarkError } from '../../base/errors.ts';
import type { Storage } from '../../storage/storage.ts';
import { readLeases } from '../guards/lease.ts';
import { FAILS, RecordFolder } from '../records/recordFolder.ts';
import type { Repository } from '../repository.ts';
import { listRevisions, nextRevision, revisionName } from '../revisions.ts';

/** Which revisions a compaction may write, so that one that died can be kept from it: docs/recovery.md, "Compaction". */

/** `[name, number]` of revisions. */
export type Announced = [manifest: string, number: number][];

/** The JSON of `compactions/<session>`. */
interface Announcement {
  format: 1;
  revisions: Announced;
}

/** One that is damaged may have meant any snapshot. */
const COMPACTIONS = new RecordFolder<Announcement, 'any'>('compactions/', {
  damaged: 'any',
  tooNew: FAILS,
  newerKey: FAILS,
});

/** Before any of these revisions is written, and before the lease is looked at again. */
export async function announce(repository: Repository, session: string, revisions: Announced): Promise<void> {
  await COMPACTIONS.write(repository, session, { revisions }, { ifAbsent: true });
}

/** After the last of them was written, or given up. */
export async function withdraw({ storage }: Repository, session: string): Promise<void> {
  await COMPACTIONS.remove(storage, session);
}

/** Sessions of compactions that may still write revisions. */
export async function listCompactions(storage: Storage): Promise<Set<string>> {
  return new Set((await COMPACTIONS.list(storage)).map(({ id }) => id));
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

/** Of one that is damaged, of each snapshot the number that comes next. */
async function announced(repository: Repository, session: string): Promise<Announced> {
  const said = await COMPACTIONS.read(repository, session);
  if (said !== 'any') return said?.revisions ?? [];
  const revisions = await listRevisions(repository.storage);
  return (await repository.snapshotNames()).map(each => [each, nextRevision(revisions.get(each))]);
}
