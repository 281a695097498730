import { TidemarkError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import type { Selected } from '../../postgres/archive/select.ts';
import type { Session } from '../../postgres/session.ts';
import { describeSettings } from '../../postgres/settings/settings.ts';
import { checkTables, otherDefinitions, readInTransaction } from '../../restore/check/checkTables.ts';
import type { ObjectDifference } from '../../restore/check/compare.ts';
import { type CheckResult, RestoreDiffers, uncheckedResult, unread } from '../../restore/check/result.ts';
import type { TargetProfile } from '../../restore/profile.ts';
import type { Division } from '../../restore/table/existing.ts';
import { DEFINITIONS, readable } from './check.ts';
import type { RestoredTable, RestoreRequest } from './request.ts';

/** The check of a table restore: begun in its transaction before anything is done, finished before it is committed. */
export interface TablesCheck {
  /** @throws RestoreDiffers where the database would not be as it should: it is for the caller to roll back. */
  finish(
    done: Pick<Division, 'entries' | 'sequencesGone'>,
    tables: readonly RestoredTable[],
    /** Entries of what was there already and stays as it is: where it is other than in the snapshot, it is noted. */
    stays?: readonly ArchiveEntry[],
  ): Promise<CheckResult>;
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
    const captured = { archive, pgDump: manifest.source.pgDump };
    return readable(() => readInTransaction(session, captured, signal), signal);
  };
  const before = await read();
  return {
    async finish({ entries, sequencesGone }, [table], stays = []) {
      const after = before instanceof TidemarkError ? before : await read();
      reporter.end();
      if (before instanceof TidemarkError || after instanceof TidemarkError)
        return uncheckedResult([unread(DEFINITIONS, after as TidemarkError)]);
      const expected = {
        archive,
        entries: selected.entries.filter(entry => !isGone(entry, sequencesGone)),
        sequences: entries.filter(entry => entry.desc === 'SEQUENCE SET'),
        serverMajor: Math.floor(manifest.source.serverVersionNum / 10000),
        pgDump: manifest.source.pgDump,
        options: { owner: request.owner, acl: request.privileges, tablespaces: request.tablespaces },
        data: request.only !== 'schema',
        deviations: request.deviations ?? [],
        beside: request.beside === undefined ? null : (table?.name ?? null),
      };
      const check = checkTables(before, after, profile, expected, session.settings.user);
      for (const difference of otherDefinitions(before, profile, expected, stays))
        reporter.note(stayText(difference));
      if (check.differences.length === 0) return check;
      throw new RestoreDiffers(
        describeSettings(session.settings),
        check,
        'the database is as it was before; if definitions were changed meanwhile, run it again; or restore into a new database: --new NAME',
      );
    },
  };
}

/** A sequence that stays missing, and what is said about it. */
function isGone({ desc, dumpId, dependencies }: ArchiveEntry, sequences: readonly ArchiveEntry[]): boolean {
  const about = desc.startsWith('SEQUENCE ') ? dependencies[0] : dumpId;
  return sequences.some(sequence => sequence.dumpId === about);
}

/** Characters of a definition in a note. */
const SHOWN_MAX = 300;

function stayText({ object, expected, found }: ObjectDifference): string {
  const line = (text: string | null) => {
    const shown = (text ?? 'nothing of it').replace(/\s+/g, ' ').trim();
    return shown.length > SHOWN_MAX ? `${shown.slice(0, SHOWN_MAX)} …` : shown;
  };
  return `${object} is not as in the snapshot, and stays so: the snapshot has ${line(expected)}; the target has ${line(found)}`;
}
