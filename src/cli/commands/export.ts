import { usageError } from '../../base/errors.ts';
import { exportSnapshot } from '../../operations/export.ts';
import { readGiven, whyChosen } from '../../operations/open/snapshots.ts';
import { requireReadable } from '../../operations/thaw.ts';
import { exportFormat, exportFormats } from '../../restore/export/index.ts';
import type { CliCommand } from '../command.ts';
import { LEAVES } from '../leaves.ts';
import { groupedNotes } from '../notes.ts';
import { formatBytes, formatCount, formatSeconds } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';
import { thawOptions } from '../thaw.ts';

export const command: CliCommand = {
  name: 'export <snapshot>',
  summary: SUMMARIES.export,
  leaves: LEAVES.lease,
  define(command) {
    const formats = exportFormats.map(format => `  ${format.name.padEnd(10)} ${format.summary}`).join('\n');
    command
      .addHelpText(
        'after',
        `\nFormats:\n${formats}\n\nSNAPSHOT may also be a database's name: its newest whole snapshot.`,
      )
      .requiredOption('--format <format>', `one of ${exportFormats.map(format => format.name).join(', ')}`)
      .option('--table <pattern...>', 'only these tables, with what they need')
      .option('--repository <name>', 'from this repository; otherwise the nearest that has the snapshot')
      .option('--schema-only', 'definitions, no rows')
      .option('--data-only', 'rows, no definitions')
      .option('--thaw', 'order what lies frozen in a cold class to be thawed')
      .option('--wait', 'with --thaw: wait until it can be read')
      .option('-o, --output <path>', 'a file or folder that doesn’t exist yet; - for standard output', '-');
  },
  async run({ output, progress, signal, strategy }, [what], options) {
    const format = exportFormat(options.format as string);
    const toStdout = options.output === '-';
    if (toStdout && output.json) {
      throw usageError(
        'OUTPUT_TWICE',
        'the export and the JSON both go to standard output',
        'write the export to a file with -o',
      );
    }
    const where = {
      repository: options.repository as string | undefined,
      note: (line: string) => output.note(line),
    };
    await readGiven(await strategy(), what as string, where, async ({ located, opened }) => {
      const why = whyChosen(located);
      if (why) output.note(why);
      if (!options.schemaOnly) {
        const thawing = thawOptions(options, progress, signal);
        await requireReadable(opened, thawing, options.thaw === true);
      }
      const result = await exportSnapshot({
        snapshot: opened,
        format,
        target: toStdout ? { stream: process.stdout } : { path: options.output as string },
        tables: (options.table as string[] | undefined) ?? [],
        only: options.schemaOnly ? 'schema' : options.dataOnly ? 'data' : undefined,
        reporter: progress,
        signal,
      });
      const summary =
        `exported ${result.snapshot} as ${result.format}: ${formatCount(result.tables)} tables, ` +
        `${formatCount(result.rows)} rows, ${formatBytes(result.bytes)}, ${formatSeconds(result.seconds)}`;
      for (const line of groupedNotes(result.leftOut)) output.note(`left out: ${line}`);
      if (toStdout) output.note(summary);
      else output.result(result, () => [summary]);
    });
    return undefined;
  },
};
