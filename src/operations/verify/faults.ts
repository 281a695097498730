import type { TidemarkError } from '../../base/errors.ts';

export interface VerifyFault {
  repository: string;
  object: string;
  code: string;
  message: string;
  hint: string;
  /** Snapshots that are hurt, and in them the tables; a fault that hurts no reader names none. */
  snapshots: string[];
  tables: string[];
}

/** All faults found: one an object and code, with everything that it hurts. */
export class Faults {
  readonly #found = new Map<string, { fault: VerifyFault; snapshots: Set<string>; tables: Set<string> }>();

  add(
    repository: string,
    object: string,
    error: Pick<TidemarkError, 'code' | 'message' | 'hint'>,
    snapshots: Iterable<string>,
    tables: Iterable<string> = [],
  ): void {
    const key = JSON.stringify([repository, object, error.code]);
    let known = this.#found.get(key);
    if (!known) {
      const { code, message, hint } = error;
      const fault = { repository, object, code, message, hint, snapshots: [], tables: [] };
      known = { fault, snapshots: new Set(), tables: new Set() };
      this.#found.set(key, known);
    }
    for (const snapshot of snapshots) known.snapshots.add(snapshot);
    for (const table of tables) known.tables.add(table);
  }

  list(): VerifyFault[] {
    const order = (fault: VerifyFault) => `${fault.repository} ${fault.object} ${fault.code}`;
    return [...this.#found.values()]
      .map(({ fault, snapshots, tables }) => ({
        ...fault,
        snapshots: [...snapshots].sort(),
        tables: [...tables].sort(),
      }))
      .sort((a, b) => (order(a) < order(b) ? -1 : 1));
  }
}
