/** What of an archive an export writes, and as which archive. */
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { isSettingsEntry } from '../../postgres/archive/statements.ts';
import { encodeText } from '../../postgres/encoding.ts';
import type { ExportInput } from './format.ts';

export function selectedEntries(input: ExportInput): ArchiveEntry[] {
  const { archive, select } = input;
  if (!select) return archive.entries;
  return archive.entries.filter(entry => isSettingsEntry(entry) || select.has(entry.dumpId));
}

/** Text of the archive as the bytes pg_dump read it from. */
export function encode(archive: Archive, text: string): Buffer {
  return encodeText(text, archive.text);
}

/**
 * The archive of the selected entries alone, before any data is written. What depended on an entry left out depends on
 * what that one depended on, so that a parallel restore keeps the order.
 */
export function exportedArchive(input: ExportInput): Archive {
  const { header, text } = input.archive;
  const entries = selectedEntries(input);
  const kept = new Set(entries.map(entry => entry.dumpId));
  const all = new Map(input.archive.entries.map(entry => [entry.dumpId, entry]));
  return {
    // A level, which archives of version 1.14 have, is left to the writer's default.
    header: { ...header, compression: input.compression ?? 'gzip', ...{ compressionLevel: undefined } },
    text,
    entries: entries.map(entry => ({
      ...entry,
      dependencies: keptDependencies(entry, kept, all),
      offset: { state: entry.hasData ? 'not-set' : 'no-data', position: 0n },
    })),
  };
}

function keptDependencies(
  entry: ArchiveEntry,
  kept: ReadonlySet<number>,
  all: ReadonlyMap<number, ArchiveEntry>,
): number[] {
  if (entry.dependencies.every(id => kept.has(id))) return entry.dependencies;
  const found = new Set<number>();
  const seen = new Set<number>();
  const visit = (id: number) => {
    if (seen.has(id) || id === entry.dumpId) return;
    seen.add(id);
    if (kept.has(id)) found.add(id);
    else for (const next of all.get(id)?.dependencies ?? []) visit(next);
  };
  for (const id of entry.dependencies) visit(id);
  return [...found];
}
