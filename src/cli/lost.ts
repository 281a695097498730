import type { Lost, LostTable } from '../operations/verify/lost.ts';
import { formatCount } from './output.ts';

/** Names on one line. */
const A_LINE = 4;

/** What is lost of a snapshot, every table of it by name. */
export function* lostLines({ everything, other, tables }: Lost): Iterable<string> {
  if (everything && tables.length === 0) {
    yield `  lost: everything${other.length > 0 ? ` (${other.join(' and ')} can't be read)` : ''}; nobody can say which tables`;
    return;
  }
  if (everything)
    yield `  lost: everything, since ${other.join(' and ')} can't be read; it had these tables:`;
  const names = [...(everything ? [] : other), ...tables.map(nameOf)];
  for (let at = 0; at < names.length; at += A_LINE)
    yield `  ${everything ? '     ' : 'lost:'} ${names.slice(at, at + A_LINE).join(', ')}`;
  if (!everything) yield '  everything else of it can be restored: tidemark restore … --table';
}

function nameOf({ table, rows, ofRows }: LostTable): string {
  if (rows === null || ofRows === null || rows === ofRows) return table;
  return `${table} (up to ${formatCount(rows)} of ${formatCount(ofRows)} rows)`;
}
