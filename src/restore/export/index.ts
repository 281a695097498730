/** The formats a snapshot can be exported in. A new one is a file beside this and a line below. */
import type { Writable } from 'node:stream';
import { usageError } from '../../base/errors.ts';
import { csv } from './csv.ts';
import { custom } from './custom.ts';
import { directory } from './directory.ts';
import type { ExportFormat, ExportInput } from './format.ts';
import { plain, plainGzip } from './plain.ts';
import { writeToFile, writeToFolder, writeToStream } from './target.ts';

export type { ExportFormat, ExportInput } from './format.ts';

export const exportFormats: readonly ExportFormat[] = [plain, plainGzip, custom, directory, csv];

export function exportFormat(name: string): ExportFormat {
  const format = exportFormats.find(other => other.name === name);
  if (format) return format;
  const names = exportFormats.map(other => other.name).join(', ');
  throw usageError('EXPORT_FORMAT_UNKNOWN', `no export format is called ${name}`, `choose one of ${names}`);
}

/** A path of a file or folder that doesn't exist yet, or a stream (standard output), which the caller ends. */
export type ExportTarget = { path: string } | { stream: Writable };

/** Writes the whole export or, where that fails, nothing (a stream's reader may have seen a part of it). */
export async function exportTo(
  format: ExportFormat,
  input: ExportInput,
  target: ExportTarget,
): Promise<void> {
  input.signal?.throwIfAborted();
  if (format.shape === 'file') {
    if ('stream' in target) return writeToStream(target.stream, sink => format.write(input, sink));
    return writeToFile(target.path, sink => format.write(input, sink));
  }
  if ('path' in target) return writeToFolder(target.path, sink => format.write(input, sink));
  throw usageError(
    'EXPORT_NEEDS_FOLDER',
    `${format.name} is a folder and can't be written to a pipe`,
    'name a folder that does not exist yet, or choose plain or custom',
  );
}
