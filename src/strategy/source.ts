/**
 * YAML as plain values, with the place of every key and value, and with variables put in. Nothing here knows what a
 * strategy is.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { type Environment, expand } from './environment.ts';
import type { Path, Report, Spot, StrategyFault } from './faults.ts';
import { pathText } from './faults.ts';

/** Open at once; some stand in comments and texts. */
const BRACKETS_MAX = 200;
const INDENTED_TOO_FAR = /^[ ?-]{300}/m;
/** Aliases can make a small file unfold without end. */
const MAX_NODES = 20_000;
const MAX_DEPTH = 32;

/** A mapping of the file; it has no prototype, so that any name is only a name. */
export type Mapping = Record<string, unknown>;

interface Place {
  keyOffset: number;
  valueOffset: number;
  /** The scalar before variables were put in. */
  written: unknown;
}

export interface Source {
  /** Undefined where the file has syntax errors. */
  value: unknown;
  faults: StrategyFault[];
  /**
   * Variables that are missing (not set or empty), by `keyOf` the path of the text they stand in; none where the value
   * could not be read for another reason, which has been reported.
   */
  missing: ReadonlyMap<string, readonly string[]>;
  report: Report;
  /** The scalar at a path as it was written, before variables were put in: safe to show unless it is a secret itself. */
  written(path: Path): unknown;
}

/** A path as the key of a map. */
export function keyOf(path: Path): string {
  return JSON.stringify(path);
}

/** Whether a value of a source is a mapping. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads YAML 1.2 (with `<<` merges). Faults are collected, never thrown: syntax errors first, and alone, since what
 * follows them can't be trusted; otherwise keys that are there twice, aliases to nothing, references that can't be read.
 */
export function readSource(text: string, environment: Environment): Source {
  const lines = new LineCounter();
  const deep = tooDeep(text);
  if (deep !== -1) {
    for (const { index } of text.matchAll(/^/gm)) lines.addNewLine(index);
    const reader = new Reader(parseDocument(''), lines, environment);
    reader.fault(deep, [], 'the file is nested too deeply', 'a strategy has five levels at most');
    return reader;
  }
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    merge: true,
  });
  const reader = new Reader(document, lines, environment);
  for (const { message, pos } of [...document.errors, ...document.warnings]) {
    // Some of the parser's messages end in a piece of the file, which could be a secret.
    const what = lowerFirst(message.replace(/: ".*$/s, ''));
    reader.fault(pos[0], [], `this is not YAML: ${what}`, syntaxHint(text, pos[0]));
  }
  if (reader.faults.length === 0) reader.value = reader.read(document.contents, [], 0);
  return reader;
}

/** Where brackets or indentation go deeper than any strategy does, on which the parser takes minutes or fails; else -1. */
function tooDeep(text: string): number {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const each = text[at];
    if ((each === '[' || each === '{') && ++depth > BRACKETS_MAX) return at;
    if ((each === ']' || each === '}') && depth > 0) depth--;
  }
  return text.search(INDENTED_TOO_FAR);
}

class Reader implements Source {
  value: unknown;
  readonly faults: StrategyFault[] = [];
  readonly missing = new Map<string, readonly string[]>();
  private readonly places = new Map<string, Place>();
  private nodes = 0;
  private readonly document: ReturnType<typeof parseDocument>;
  private readonly lines: LineCounter;
  private readonly environment: Environment;

  constructor(document: ReturnType<typeof parseDocument>, lines: LineCounter, environment: Environment) {
    this.document = document;
    this.lines = lines;
    this.environment = environment;
  }

  fault(offset: number, path: Path, message: string, hint: string): void {
    const { line, col } = this.lines.linePos(offset);
    this.faults.push({
      line: Math.max(1, line),
      column: Math.max(1, col),
      path: pathText(path),
      message,
      hint,
    });
  }

  report = (path: Path, spot: Spot, message: string, hint: string): void => {
    let place: Place | undefined;
    for (let length = path.length; length >= 0 && !place; length--)
      place = this.places.get(keyOf(path.slice(0, length)));
    this.fault((spot === 'key' ? place?.keyOffset : place?.valueOffset) ?? 0, path, message, hint);
  };

  written = (path: Path): unknown => this.places.get(keyOf(path))?.written;

  read(node: Node | ParsedNode | null | undefined, path: Path, depth: number, keyOffset?: number): unknown {
    const target = this.resolve(node, path, depth);
    const valueOffset = target?.range?.[0] ?? keyOffset ?? 0;
    const written = isScalar(target) ? target.value : undefined;
    this.places.set(keyOf(path), { keyOffset: keyOffset ?? valueOffset, valueOffset, written });
    if (!target) return null;
    if (isMap(target)) return this.readMapping(target, path, depth);
    if (isSeq(target))
      return target.items.map((item, i) => this.read(item as ParsedNode, [...path, i], depth + 1));
    return typeof written === 'string' ? this.expanded(written, path, valueOffset) : written;
  }

  /** What an alias stands for; null for nothing. */
  private resolve(node: Node | null | undefined, path: Path, depth: number): Node | null {
    this.nodes++;
    if (this.nodes === MAX_NODES || (depth > MAX_DEPTH && this.nodes < MAX_NODES)) {
      this.fault(
        node?.range?.[0] ?? 0,
        path,
        'the file unfolds without end',
        'no alias may stand inside of what it names',
      );
      this.nodes = MAX_NODES;
    }
    if (this.nodes >= MAX_NODES) return null;
    if (!isAlias(node)) return node ?? null;
    const target = node.resolve(this.document);
    if (target) return target;
    this.fault(node.range?.[0] ?? 0, path, `nothing is named &${node.source}`, aliasHint);
    this.missing.set(keyOf(path), []);
    return null;
  }

  private readMapping(map: YAMLMap, path: Path, depth: number): Mapping {
    const mapping: Mapping = Object.create(null);
    const merged: Mapping[] = [];
    const firstLines = new Map<string, number>();
    for (const { key, value } of map.items as { key: ParsedNode; value: ParsedNode | null }[]) {
      const offset = key?.range?.[0] ?? map.range?.[0] ?? 0;
      const name = this.keyName(key);
      if (name === null) {
        this.fault(offset, path, 'a key must be text', 'put the key in quotes');
        continue;
      }
      if (isScalar(key) && key.source === '<<' && key.type === 'PLAIN') {
        merged.push(...this.readMerge(value, [...path, name], depth));
        continue;
      }
      const firstLine = firstLines.get(name);
      if (firstLine !== undefined) {
        const hint = `the first one is in line ${firstLine}; remove one of them`;
        this.fault(offset, [...path, name], `the key ${JSON.stringify(name)} is there twice`, hint);
        continue;
      }
      firstLines.set(name, this.lines.linePos(offset).line);
      mapping[name] = this.read(value, [...path, name], depth + 1, offset);
    }
    this.merge(mapping, merged, path);
    return mapping;
  }

  /** Keys of its own win; of several merged mappings, the first. */
  private merge(mapping: Mapping, merged: readonly Mapping[], path: Path): void {
    for (const other of merged) {
      for (const [name, value] of Object.entries(other)) {
        if (name in mapping) continue;
        mapping[name] = value;
        this.adopt([...path, '<<', name], [...path, name]);
      }
    }
  }

  private readMerge(value: ParsedNode | null, path: Path, depth: number): Mapping[] {
    const target = this.resolve(value, path, depth);
    const nodes = isSeq(target) ? target.items : [target];
    return nodes.flatMap(node => {
      const read = this.read(node as ParsedNode, path, depth + 1);
      if (isMapping(read)) return [read];
      if (this.nodes < MAX_NODES) this.report(path, 'value', '<< needs a mapping', aliasHint);
      return [];
    });
  }

  /** What was read at one path is now at another as well. */
  private adopt(from: Path, to: Path): void {
    const prefix = keyOf(from).slice(0, -1);
    const moved = (key: string) => keyOf(to).slice(0, -1) + key.slice(prefix.length);
    const below = (key: string) => key.startsWith(prefix) && /^[,\]]/.test(key.slice(prefix.length));
    for (const [key, place] of [...this.places]) if (below(key)) this.places.set(moved(key), place);
    for (const [key, names] of [...this.missing]) if (below(key)) this.missing.set(moved(key), names);
  }

  private keyName(key: Node | null): string | null {
    const target = isAlias(key) ? key.resolve(this.document) : key;
    if (!isScalar(target)) return null;
    return typeof target.value === 'string' ? target.value : (target.source ?? null);
  }

  private expanded(text: string, path: Path, offset: number): string {
    const expansion = expand(text, this.environment);
    if (expansion.missing.length > 0) this.missing.set(keyOf(path), expansion.missing);
    if (expansion.malformed) {
      const hint =
        'write a name between the braces, or name:-default; where no variable is meant, write $$ for $';
      this.fault(offset, path, `${pathText(path)} has a reference to a variable that can't be read`, hint);
      this.missing.set(keyOf(path), []);
    }
    // Paths, names and passwords take neither: the first ends them, the second is what is left of other encodings.
    const wrong = expansion.text.includes('\0')
      ? 'holds a zero byte'
      : expansion.text.includes('\ufffd') || !expansion.text.isWellFormed()
        ? 'is not valid UTF-8'
        : null;
    if (wrong) {
      this.fault(
        offset,
        path,
        `${pathText(path)} ${wrong}`,
        'write it, and the variables in it, as UTF-8 text',
      );
      this.missing.set(keyOf(path), []);
    }
    return expansion.text;
  }
}

const aliasHint = 'define it before, as in `first: &name …`, then use `*name`';

/** YAML's own messages say little about what people stumble over. */
function syntaxHint(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const [line = ''] = text.slice(start).split('\n', 1);
  if (/:\s*\*[\s/]/.test(line)) return 'put the schedule in quotes: a star has a meaning in YAML';
  if (/[{[,].*[:,[]\s*[^"']*\$\{/.test(line))
    return 'between { } or [ ], put a variable in quotes, braces and all';
  if (/^\s*\t/.test(line)) return 'indent with spaces';
  return 'look at the indentation, colons, quotes and brackets of this line and the one before';
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1).replace(/\.$/, '');
}
