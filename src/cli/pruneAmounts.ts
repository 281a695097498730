import type { PrunedPacks } from '../operations/prune/compaction.ts';
import type { PrunedRepository } from '../operations/prune/prune.ts';
import { formatBytes, formatCount, formatTime } from './output.ts';

/** What a prune frees and what that takes, in words. */

/** `tense`: `will be`, `would be`, or nothing for what was done. */
export function* amounts(each: PrunedRepository, tense: string): Iterable<string> {
  const { repository, forgotten, condemned, freed, locked, error } = each;
  if (error) return;
  const verb = (done: string) => (tense ? `${tense} ${done}` : done);
  yield `${repository}: ${counted(forgotten.length, 'snapshot')} ${verb('forgotten')}, ${packs(freed)} ${verb('freed')}`;
  if (condemned.packs > 0)
    yield `  ${packs(condemned)} ${verb('condemned')}: no snapshot needs them any more`;
  if (locked.packs > 0) {
    const until = locked.until ? `until ${formatTime(locked.until)} at the latest` : 'by an object lock';
    yield `  ${packs(locked)} locked ${until}: no snapshot needs them, a later prune frees them`;
  }
  yield* compacted(each.compacted, verb);
  for (const id of each.heldMissing)
    yield `  snapshot ${id} is held and not here: what it needs is kept as far as it is known; tidemark release ${id}`;
  yield* waiting(each);
  if (tense !== '') yield* requests(each);
}

function* compacted(
  { packs: count, bytes, rewrittenBytes, snapshots, left, faults }: PrunedPacks,
  verb: (done: string) => string,
): Iterable<string> {
  if (count > 0) {
    const written = `${formatBytes(rewrittenBytes)} of them written anew`;
    yield `  ${packs({ packs: count, bytes })} ${verb('emptied')}, ${written}: ${counted(snapshots, 'snapshot')} used a part`;
  }
  const reasons = [
    left.notWorth > 0 ? `${counted(left.notWorth, 'pack')} would free less than is written` : '',
    left.frozen > 0 ? `${counted(left.frozen, 'pack')} would have to be thawed` : '',
    left.locked > 0 ? `${counted(left.locked, 'pack')} can’t be removed, being locked` : '',
  ].filter(reason => reason !== '');
  if (reasons.length > 0) yield `  used in part, and left: ${reasons.join('; ')}`;
  for (const fault of faults) yield `  left, since it can’t be read: ${fault.message} [${fault.code}]`;
}

function* waiting({ waiting }: PrunedRepository): Iterable<string> {
  if (waiting.packs === 0) return;
  const running =
    waiting.for.length > 0 ? ` and once ${waiting.for.join(', ')}, which are running, have ended` : '';
  yield `  ${packs(waiting)} waiting: freed by a prune after ${formatTime(waiting.until!)}${running}`;
}

function* requests({ requests }: PrunedRepository): Iterable<string> {
  const { puts, gets, deletes } = requests;
  const all = [`${formatCount(puts)} writes and listings`, `${formatCount(gets)} reads`];
  yield `  about ${all.join(', ')}, ${formatCount(deletes)} deletions`;
}

export function packs(amount: { packs: number; bytes: number }): string {
  return `${counted(amount.packs, 'pack')} (${formatBytes(amount.bytes)})`;
}

export function counted(count: number, what: string): string {
  return `${formatCount(count)} ${what}${count === 1 ? '' : 's'}`;
}
