import { TidemarkError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import type { Selected } from '../../postgres/archive/select.ts';
import type { Session } from '../../postgres/session.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import { checkTables, readInTransaction } from '../../restore/check/checkTables.ts';
import { type CheckResult, RestoreDiffers, uncheckedResult, unread } from '../../restore/check/result.ts';
import type { TargetProfile } from '../../restore/profile.ts';
import { DEFINITIONS, readable } from './check.ts';
import type { RestoredTable, RestoreRequest } from './request.ts';

/** The check of a table restore: begun in its transaction before anything is done, finished before it is committed. */
export interface TablesCheck {
  /** @throws RestoreDiffers where the database would not be as it should: it is for the caller to roll back. */
  finish(carriedOut: readonly ArchiveEntry[], tables: readonly RestoredTable[]): Promise<CheckResult>;
}

export async function beginTablesCheck(
  request: RestoreRequest,
  selected: Selected,
  session: Session,
  profile: TargetProfile,
): Promise<TablesCheck> {
  if (request.check === 'none') return { finish: async () => uncheckedResult([]) };
  const { signal, reporter } = request;
  const { archive, manifest } = request.snapshot;
  const read = () => {
    reporter.begin('reading the definitions', null);
    const captured = { archive, pgDump: manifest.pgDump };
    return readable(() => readInTransaction(session, captured, signal), signal);
  };
  const before = await read();
  return {
    async finish(carriedOut, [table]) {
      const after = before instanceof TidemarkError ? before : await read();
      reporter.end();
      if (before instanceof TidemarkError || after instanceof TidemarkError)
        return uncheckedResult([unread(DEFINITIONS, after as TidemarkError)]);
      const check = checkTables(
        before,
        after,
        profile,
        {
          archive,
          entries: selected.entries,
          sequences: carriedOut.filter(entry => entry.desc === 'SEQUENCE SET'),
          serverMajor: Math.floor(manifest.source.serverVersionNum / 10000),
          pgDump: manifest.pgDump,
          options: { owner: request.owner, acl: request.privileges, tablespaces: request.tablespaces },
          data: request.only !== 'schema',
          deviations: request.deviations ?? [],
          beside: request.beside === undefined ? null : (table?.name ?? null),
        },
        session.settings.user,
      );
      if (check.differences.length === 0) return check;
      throw new RestoreDiffers(
        describeSettings(session.settings),
        check,
        'the database is as it was before; if definitions were changed meanwhile, run it again; or restore into a new database: --new NAME',
      );
    },
  };
}
