import { usageError } from '../base/errors.ts';
import { kindOf, locationOf } from '../storage/kinds.ts';
import type { Lifecycle, LifecycleWishes } from '../storage/lifecycle.ts';
import type { RepositorySpec, Strategy } from '../strategy/spec.ts';
import { repositoryOf } from './open/open.ts';

/** By then, what a failed backup left has been collected (docs/recovery.md), and costs no least stay of a colder class. */
const MOVE_AFTER_DAYS = 2;

export interface LifecycleResult extends Lifecycle {
  repository: string;
  /** For people. */
  storage: string;
}

/**
 * Rules for the provider of a repository's storage that fit the strategy. Pure: nothing is asked and nothing changed.
 *
 * @param move also move packs that lie in another class to the repository's.
 */
export function lifecycleOf(strategy: Strategy, name: string, move: boolean): LifecycleResult {
  const spec = repositoryOf(strategy, name);
  const kind = kindOf(spec.storage);
  if (!kind.lifecycle)
    throw usageError(
      'LIFECYCLE_NONE',
      `repository ${name} lies in ${locationOf(spec.storage)}, where no provider could carry rules out`,
      "none are needed there: 'tidemark prune' frees what no snapshot needs",
    );
  const wishes: LifecycleWishes = { repository: name, locked: spec.lock !== null };
  if (move) wishes.move = { storageClass: classToMoveTo(spec), afterDays: MOVE_AFTER_DAYS };
  const lifecycle = kind.lifecycle(spec.storage, wishes);
  if (move)
    lifecycle.notes.push(
      'packs of chunk lists move too, which every backup reads some of, at that class’s price',
    );
  return { repository: name, storage: locationOf(spec.storage), ...lifecycle };
}

/** The first class of a kind is the one that data lies in anyway. */
function classToMoveTo({ name, storage, storageClass }: RepositorySpec): string {
  const { classes } = kindOf(storage);
  const [usual] = Object.keys(classes);
  if (storageClass === null || storageClass === usual)
    throw usageError(
      'LIFECYCLE_CLASS',
      `repository ${name} has no class that packs could be moved to`,
      'say one in the strategy: class: …',
    );
  if (classes[storageClass]!.frozen)
    throw usageError(
      'LIFECYCLE_CLASS',
      `packs of repository ${name} can't be moved to ${storageClass}: the lists of chunks among them would freeze`,
      'leave --move out: tidemark writes new rows into that class by itself',
    );
  return storageClass;
}
