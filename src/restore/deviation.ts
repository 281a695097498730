import type { ArchiveEntry } from '../postgres/archive/entry.ts';
import { entryName } from '../postgres/archive/entryName.ts';
import type { DatabaseStatement } from './database/definition.ts';

/**
 * What a restore does otherwise than the snapshot says, by its object. A note for people is made of it; the check excuses
 * this object, as the snapshot has it, and nothing else, whatever the note's words are.
 */
export type Deviation =
  /** Something of its name is there already, and stays as it is. */
  | { kind: 'kept'; entry: ArchiveEntry }
  /** It is missing, and the target refuses it. */
  | { kind: 'refused'; entry: ArchiveEntry; reason: string }
  /** It is left out. */
  | { kind: 'leftOut'; entry: ArchiveEntry; reason: string }
  /** The index of an exclusion constraint, which the server can't attach to the one above it. */
  | { kind: 'indexAlone'; entry: ArchiveEntry }
  /** A statement about the database itself that the target refuses. */
  | { kind: 'property'; statement: DatabaseStatement; reason: string };

/** How many are named of what is kept. */
const KEPT_SHOWN = 20;

/** Notes for people: what is kept in one, statements about the database one a reason, anything else one each. */
export function deviationNotes(deviations: readonly Deviation[]): string[] {
  const kept: string[] = [];
  const refused = new Map<string, string[]>();
  const notes: string[] = [];
  for (const each of deviations) {
    if (each.kind === 'kept') kept.push(entryName(each.entry));
    else if (each.kind === 'property')
      refused.set(each.reason, [...(refused.get(each.reason) ?? []), each.statement.what]);
    else notes.push(noteOf(each));
  }
  const more = kept.length > KEPT_SHOWN ? ` and ${kept.length - KEPT_SHOWN} more` : '';
  return [
    ...notes,
    ...[...refused].map(([reason, what]) => `left out of the database's own: ${what.join(', ')}: ${reason}`),
    ...(kept.length > 0
      ? [`there already, and kept as it is: ${kept.slice(0, KEPT_SHOWN).join(', ')}${more}`]
      : []),
  ];
}

function noteOf(deviation: Extract<Deviation, { kind: 'refused' | 'leftOut' | 'indexAlone' }>): string {
  const { kind, entry } = deviation;
  switch (kind) {
    case 'refused':
      return `${entryName(entry)} is missing and can't be made: ${deviation.reason}`;
    case 'leftOut':
      return `${entryName(entry)} is left out: ${deviation.reason}`;
    case 'indexAlone':
      return `index ${entry.namespace}.${entry.tag} stands by itself: this server can't attach the index of an exclusion constraint; the rows are checked all the same`;
  }
}

/** dumpIds of entries that are not in the target as the snapshot says. */
export function deviatingEntries(deviations: readonly Deviation[]): Set<number> {
  return new Set(deviations.flatMap(each => (each.kind === 'property' ? [] : [each.entry.dumpId])));
}

/** Statements about the database itself that are not in force. */
export function refusedStatements(deviations: readonly Deviation[]): DatabaseStatement[] {
  return deviations.flatMap(each => (each.kind === 'property' ? [each.statement] : []));
}
