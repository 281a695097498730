import { setImmediate } from 'node:timers/promises';
import { styleText } from 'node:util';
import { TidemarkError } from '../base/errors.ts';
import { withoutSecrets } from '../base/secretText.ts';

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
      if (json) process.stdout.write(`${printableJson(value)}\n`);
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
  if (json) process.stdout.write(`${withoutSecrets(printableJson({ error: error.toJSON() }))}\n`);
  const [first, ...rest] = error.message.split('\n');
  const lines = [
    `${paint('red', 'tidemark:', process.stderr)} ${first} [${error.code}]`,
    ...rest.map(line => `  ${line}`),
  ];
  for (const hint of error.hint.split('\n')) if (hint) lines.push(`  ${hint}`);
  process.stderr.write(`${lines.map(printable).join('\n')}\n`);
  if (process.env.TIDEMARK_DEBUG)
    for (const stack of [error.stack, (error.cause as Error | undefined)?.stack])
      process.stderr.write(
        `${withoutSecrets(String(stack ?? ''))
          .split('\n')
          .map(printable)
          .join('\n')}\n`,
      );
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

/**
 * Stands for the escape character of our own colours until they are printed. Half of a surrogate pair is in no text that
 * was ever read from bytes, so no name can pass for a colour.
 */
const ESCAPE = '\udc1b';
const OWN_COLOUR = new RegExp(`${ESCAPE}\\[[0-9;]*m`, 'g');

/** Colours a text that is printed through `printable`. */
export function paint(colour: Colour, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  if (!stream.isTTY || process.env.NO_COLOR || process.env.TERM === 'dumb') return text;
  const [on, off] = styleText(colour, '\0', { validateStream: false }).split('\0');
  return `${on!.replaceAll('\x1b', ESCAPE)}${text}${off!.replaceAll('\x1b', ESCAPE)}`;
}

/** Characters that are not seen, or that move what is: controls, formats, bidirectional marks, what has no width. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** A line as a terminal may have it: of names, hidden characters are shown escaped; of ours, colours stay. */
export function printable(line: string): string {
  return line.replace(HIDDEN, mark => (mark === ESCAPE ? '\x1b' : escaped(mark)));
}

/** `\x1b`, `\u202e`, `\u{e0001}` */
function escaped(mark: string): string {
  const code = mark.codePointAt(0)!.toString(16);
  if (code.length <= 2) return `\\x${code.padStart(2, '0')}`;
  return code.length <= 4 ? `\\u${code.padStart(4, '0')}` : `\\u{${code}}`;
}

/** JSON without hidden characters, which may stand in its texts only. */
function printableJson(value: object): string {
  const units = (mark: string) =>
    mark.split('').map(unit => unit.charCodeAt(0).toString(16).padStart(4, '0'));
  return JSON.stringify(value).replace(HIDDEN, mark => `\\u${units(mark).join('\\u')}`);
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
export function* columns(given: string[][], right: ReadonlySet<number> = new Set()): Iterable<string> {
  const rows = given.map(row => row.map(shown));
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(row[column]!)), 0),
  );
  for (const row of rows) {
    const cells = row.map((cell, column) => {
      const gap = ' '.repeat(widths[column]! - widthOf(cell));
      return right.has(column) ? gap + cell : cell + gap;
    });
    yield cells.join('  ').trimEnd();
  }
}

/** A cell as it will be printed, but for our own colours. */
function shown(cell: string): string {
  return cell.replace(HIDDEN, mark => (mark === ESCAPE ? mark : escaped(mark)));
}

function widthOf(cell: string): number {
  return [...cell.replace(OWN_COLOUR, '')].length;
}
