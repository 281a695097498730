import { TidemarkError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import type { TableTarget } from './target.ts';

interface Step {
  back: string;
  what: string;
}

/**
 * What hangs on tables whose rows are replaced, and would refuse that or fire: foreign keys, triggers, constraints that
 * were never valid. It stands aside and comes back as it was.
 */
export class Surroundings {
  readonly #target: TableTarget;
  readonly #steps: Step[];
  readonly #silenced: boolean;
  /** Foreign keys that somebody has disabled: nobody checks them. */
  readonly unchecked: string[];

  private constructor(target: TableTarget, steps: Step[], unchecked: string[]) {
    this.#target = target;
    this.#steps = steps;
    this.unchecked = unchecked;
    this.#silenced = unchecked.length > 0;
  }

  /**
   * Takes it away, and then the rows themselves.
   * @param data TABLE DATA entries. @param roots the partitioned tables that some of their rows go through.
   */
  static async standAside(
    target: TableTarget,
    data: readonly ArchiveEntry[],
    roots: string[],
  ): Promise<Surroundings> {
    const { session, encoding } = target;
    const rows =
      data.length === 0
        ? []
        : await session.query(sqlFile('table_surroundings'), [target.hexOf(data), encoding, roots]);
    const steps: Step[] = [];
    const unchecked = rows.filter(row => row.kind === 'stays').map(row => target.readOwn(row.what!));
    if (unchecked.length > 0) await silence(target, unchecked);
    for (const row of rows) {
      if (row.aside) await target.runOwn(row.aside);
      if (row.back) steps.push({ back: row.back, what: target.readOwn(row.what!) });
    }
    return new Surroundings(target, steps.reverse(), unchecked);
  }

  /** Adding a foreign key checks every row: rows elsewhere that refer to rows the snapshot lacks stop the restore. */
  async bringBack(): Promise<void> {
    if (this.#silenced) await this.#target.session.run('SET LOCAL session_replication_role = origin');
    for (const { back, what } of this.#steps) {
      try {
        await this.#target.runOwn(back);
      } catch (error) {
        if (!(error instanceof PostgresError) || error.code !== '23503') throw error;
        throw new TidemarkError(
          'REFERENCES_BROKEN',
          `with the snapshot's rows, ${what} would be broken: ${error.detail ?? error.message}`,
          'the database is as it was before; restore the referring tables too (another --table), or restore beside with --as NAME and take the rows you need',
          { cause: error },
        );
      }
    }
  }
}

/** Keys whose triggers are disabled can't be made again as they are: they stay, and nothing may fire them. */
async function silence(target: TableTarget, keys: string[]): Promise<void> {
  const refused = await target.attempt(async () => {
    await target.session.run('SET LOCAL session_replication_role = replica');
  });
  if (!refused) return;
  throw new TidemarkError(
    'KEYS_DISABLED',
    `${keys.join(', ')}: its triggers are disabled (ALTER TABLE … DISABLE TRIGGER), and only a superuser can replace rows around it: ${refused.message}`,
    'restore as a superuser, or beside with --as NAME; the database is as it was before',
    { cause: refused },
  );
}
