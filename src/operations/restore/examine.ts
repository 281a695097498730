import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { type CleanPlan, planClean } from '../../restore/database/clean.ts';
import { requireEmpty } from '../../restore/database/empty.ts';
import { createdbMissing, openMaintenance, requireFree } from '../../restore/database/maintenance.ts';
import { type DatabaseUses, readUses, requireReplaceable } from '../../restore/database/replaced.ts';
import { type Missing, missingFrom, refusePartial } from './partial.ts';
import { isTableRestore, type RestoreRequest } from './request.ts';

/** What is known of a target before anything is done to it. */
export interface Examined {
  /** What hangs on the database that is replaced, or on the name of the new one. */
  uses?: DatabaseUses;
  /** What the snapshot lacks of the database that it replaces. */
  missing?: Missing;
  /** What emptying the target removes and keeps. */
  clean?: CleanPlan;
}

/** Looks at where a restore goes, and refuses here what could not be done at its end. */
export async function examine(request: RestoreRequest): Promise<Examined> {
  const { target } = request;
  if (isTableRestore(request)) return {};
  switch (target.kind) {
    case 'new': {
      const session = await openMaintenance(target.server);
      try {
        await requireFree(session, target.name);
        await requireCreatedb(session);
        return { uses: await readUses(session, target.name) };
      } finally {
        await session.close();
      }
    }
    case 'to': {
      if (target.clean) return { clean: await examineClean(target.settings) };
      await requireEmpty(target.settings);
      return {};
    }
    case 'inPlace':
      return examineReplaced(request, target.settings);
  }
}

async function examineReplaced(request: RestoreRequest, settings: ConnectionSettings): Promise<Examined> {
  const session = await openMaintenance(settings, settings.database);
  try {
    const uses = await requireReplaceable(session, settings);
    const missing = await missingFrom(request, settings);
    if (missing && !request.allowPartial) refusePartial(request, missing);
    return { uses, ...(missing ? { missing } : {}) };
  } finally {
    await session.close();
  }
}

async function requireCreatedb(session: Session): Promise<void> {
  const [me] = await session.query(
    'select rolname as role, rolsuper or rolcreatedb as may from pg_catalog.pg_roles where rolname operator(pg_catalog.=) current_user',
  );
  if (me && me.may !== 't') throw createdbMissing(session.settings, me.role!, 'a new database');
}

async function examineClean(settings: ConnectionSettings): Promise<CleanPlan> {
  const session = await Session.open(settings, 'tidemark restore');
  try {
    return await planClean(session);
  } finally {
    await session.close();
  }
}
