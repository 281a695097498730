import { setImmediate } from 'node:timers/promises';
import { styleText } from 'node:util';
import { TidemarkError } from '../base/errors.ts';

/**
 * Terminal manners. Results go to stdout, everything else to stderr. With --json stdout holds exactly one JSON object.
 * An error is `tidemark: what failed`, the remedy on the next line, indented. Colours only on a terminal, and never with
 * NO_COLOR set.
 */
export interface Output {
  readonly json: boolean;
  /** The command's result: text from `lines`, or the value itself. */
  result(value: object, lines: () => Iterable<string>): void;
  /** A line on stderr. */
  note(line: string): void;
}

export function makeOutput(json: boolean): Output {
  return {
    json,
    result(value, lines) {
      if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
      else for (const line of lines()) process.stdout.write(`${printable(line)}\n`);
    },
    note(line) {
      process.stderr.write(`${printable(line)}\n`);
    },
  };
}

/** Whether what is printed may land in a log, where a key must not be. */
export function hidesKey(json: boolean): boolean {
  return json || process.stdout.isTTY !== true;
}

export function reportError(error: TidemarkError, json: boolean): void {
  if (json) process.stdout.write(`${JSON.stringify({ error: error.toJSON() })}\n`);
  const [first, ...rest] = error.message.split('\n');
  const lines = [
    `${paint('red', 'tidemark:', process.stderr)} ${first} [${error.code}]`,
    ...rest.map(line => `  ${line}`),
  ];
  for (const hint of error.hint.split('\n')) if (hint) lines.push(`  ${hint}`);
  process.stderr.write(`${lines.map(printable).join('\n')}\n`);
  if (process.env.TIDEMARK_DEBUG)
    process.stderr.write(`${error.stack}\n${String((error.cause as Error)?.stack ?? '')}\n`);
}

/**
 * Watches whether what is printed can be. A reader that has seen enough, such as `head`, is no failure; a full disk is one,
 * of which the function that is given back throws.
 */
export function watchOutput(): () => Promise<void> {
  let failure: NodeJS.ErrnoException | undefined;
  const failed = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') failure ??= error;
  };
  process.stdout.on('error', failed);
  process.stderr.on('error', () => {}); // nobody could be told
  return async () => {
    await setImmediate(); // what was just written has failed by now, if it does
    if (!failure) return;
    throw new TidemarkError(
      'OUTPUT_UNWRITTEN',
      `the result can't be written to standard output: ${failure.code ?? failure.message}`,
      'the command itself was carried out; make room where its output goes',
      { cause: failure },
    );
  };
}

type Colour = Parameters<typeof styleText>[0];

export function paint(colour: Colour, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  if (!stream.isTTY || process.env.NO_COLOR || process.env.TERM === 'dumb') return text;
  return styleText(colour, text, { validateStream: false });
}

/** Control characters of names can't move the cursor of whoever reads them; colours we put there ourselves stay. */
function printable(line: string): string {
  return line.replace(
    /\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f]/g,
    mark => `\\x${mark.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** `1.4 MB`: decimal units, as disks are sold and networks are measured. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** `2026-11-21 09:57 UTC` */
export function formatTime(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}

/** Columns side by side; the first row is the head. Columns named in `right` are numbers. */
export function* table(rows: string[][], right: ReadonlySet<number> = new Set()): Iterable<string> {
  for (const [i, line] of [...columns(rows, right)].entries()) yield i === 0 ? paint('bold', line) : line;
}

/** As a table without a head. */
export function* columns(rows: string[][], right: ReadonlySet<number> = new Set()): Iterable<string> {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, [...row[column]!].length), 0),
  );
  for (const row of rows) {
    const cells = row.map((cell, column) => {
      const gap = ' '.repeat(widths[column]! - [...cell].length);
      return right.has(column) ? gap + cell : cell + gap;
    });
    yield cells.join('  ').trimEnd();
  }
}
