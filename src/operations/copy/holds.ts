import { asTidemarkError } from '../../base/errors.ts';
import { type Hold, placeHold } from '../../repository/guards/holds.ts';
import type { OpenPlace } from '../open/open.ts';

/**
 * Places what holds a snapshot in the repository that it was copied from in the one that it was copied to. The copy is there
 * already, and stays so: what can't be placed is told.
 */
export async function takeHoldsAlong(
  { name, repository }: OpenPlace,
  snapshot: string,
  holds: readonly Hold[],
  note: (line: string) => void,
): Promise<void> {
  for (const { id, reason, until, by } of holds) {
    try {
      if (reason === null)
        note(`warning: hold ${id} on ${snapshot} can't be read, and was not placed in ${name}`);
      else await placeHold(repository, snapshot, { reason, until, by: by ?? 'unknown' });
    } catch (error) {
      const { message, code } = asTidemarkError(error);
      note(`warning: hold ${id} on ${snapshot} could not be placed in ${name}: ${message} [${code}]`);
    }
  }
}
