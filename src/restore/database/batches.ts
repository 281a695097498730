import type { ArchiveEntry } from '../../postgres/archive/entry.ts';

/** Statements sent as one query run as one transaction; if it fails, they are run one by one to find the culprit. */
const BATCH_BYTES = 64 << 10;
const BATCH_ENTRIES = 100;

export interface EntryStatements {
  entry: ArchiveEntry;
  statements: string[];
}

/** Groups of entries small enough for one round trip each. */
export function* batches(entries: readonly EntryStatements[]): Iterable<EntryStatements[]> {
  let batch: EntryStatements[] = [];
  let bytes = 0;
  for (const each of entries) {
    if (each.statements.length === 0) continue;
    const size = each.statements.reduce((sum, statement) => sum + statement.length, 0);
    if (batch.length > 0 && (bytes + size > BATCH_BYTES || batch.length >= BATCH_ENTRIES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(each);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** One query of several statements; a `--` comment at the end of one must not swallow the next. */
export function joined(batch: readonly EntryStatements[]): string {
  return batch.flatMap(each => each.statements).join('\n;\n');
}
