/** More notes that say the same of different objects become one. */
const ALIKE_MAX = 3;
const NAMED = 3;
/** Where what is said begins, after what it is said of. */
const SAID = / (?:is|was|are|were|has|have|can't|could|depends|needs) |: /;

/**
 * Notes of a result for people: many of one kind are one line with their count, in the place of the first; each alone is as
 * it was. With --json all of them are there.
 */
export function groupedNotes(notes: readonly string[]): string[] {
  const kinds = new Map<string, string[]>();
  for (const note of notes) {
    const said = note.slice(subjectOf(note).length);
    kinds.set(said, [...(kinds.get(said) ?? []), note]);
  }
  return [...kinds].flatMap(([said, alike]) => {
    const distinct = [...new Set(alike)];
    if (distinct.length <= ALIKE_MAX || said === '') return distinct;
    const more = distinct.length - NAMED;
    return [
      `${distinct.length} times: ${distinct.slice(0, NAMED).map(subjectOf).join(', ')} and ${more} more${said}`,
    ];
  });
}

function subjectOf(note: string): string {
  const at = SAID.exec(note)?.index;
  return at === undefined ? note : note.slice(0, at);
}
