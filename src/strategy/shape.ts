/** Whether what was written has the schema's shape, in words that a person can act on. */
import * as z from 'zod';
import { type Path, pathText, type Report } from './faults.ts';
import { nearest } from './nearest.ts';
import { HINT, WRITTEN } from './schema.ts';
import { isMapping, keyOf, type Mapping, type Source } from './source.ts';

/** Keys that are planned; the path's names are written as `*`. */
const LATER: Record<string, string> = {
  proofs: 'proofs are not supported yet: this version backs up and restores, drills come with a later one',
  alerts: 'alerts are not supported yet: until they are, watch the exit code of tidemark backup',
  recovery: 'recovery is not supported yet: its hooks and runbooks come with a later version',
};

/**
 * Checks one entry of a section (or any value) against its schema and reports what is wrong with it.
 *
 * @param at where the value stands in the file.
 * @returns whether it can be used; what hangs on missing variables only is not looked at.
 */
export function checkShape(schema: z.ZodType, value: unknown, at: Path, source: Source): boolean {
  const result = schema.safeParse(value, { reportInput: false });
  if (result.success) return true;
  let usable = true;
  for (const issue of result.error.issues.flatMap(each => unfolded(each, value))) {
    const path = [...at, ...(issue.path as (string | number)[])];
    if (waitsForVariable(path, source)) continue;
    usable = false;
    reportIssue(issue, path, valueAt(value, issue.path), schemaAt(schema, issue.path), source);
  }
  return usable;
}

/** Reports a key that no mapping of its kind has. */
export function reportUnknownKey(path: Path, known: readonly string[], report: Report): void {
  const pattern = path.map((step, i) => (i === 1 ? '*' : step)).join('.');
  const key = String(path.at(-1));
  const later = LATER[pattern];
  const where = path.length > 1 ? pathText(path.slice(0, -1)) : 'a strategy';
  if (later) {
    report(path, 'key', later, `remove ${key} for now`);
    return;
  }
  const meant = nearest(key, known);
  const hint = meant ? `did you mean ${JSON.stringify(meant)}?` : `it has ${known.join(', ')}`;
  report(path, 'key', `${where} has no key ${JSON.stringify(key)}`, hint);
}

type Issue = z.core.$ZodIssue;

/** Where a mapping stands that is none of several alternatives: what is wrong with it as the one that is a mapping. */
function unfolded(issue: Issue, value: unknown): Issue[] {
  if (issue.code !== 'invalid_union' || !isMapping(valueAt(value, issue.path))) return [issue];
  const own = issue.errors.find(errors => errors.every(each => each.path.length > 0));
  return own ? own.map(each => ({ ...each, path: [...issue.path, ...each.path] }) as Issue) : [issue];
}

function reportIssue(
  issue: Issue,
  path: Path,
  value: unknown,
  schema: z.ZodType | null,
  source: Source,
): void {
  const name = pathText(path);
  const hint = schemaHint(schema);
  if (issue.code === 'unrecognized_keys') {
    const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
    for (const key of issue.keys) reportUnknownKey([...path, key], known, source.report);
  } else if (value === undefined) {
    source.report(path, 'key', `${pathText(path.slice(0, -1))} lacks ${path.at(-1)}`, hint);
  } else if (issue.code === 'invalid_type') {
    source.report(
      path,
      'value',
      `${name} must be ${EXPECTED[issue.expected] ?? issue.expected}, it is ${kindOf(value)}`,
      typeHint(issue, value, hint),
    );
  } else if (issue.code === 'invalid_value') {
    reportChoice(issue.values.map(String), path, source);
  } else if (issue.code === 'invalid_union' && issue.message === 'Invalid input') {
    source.report(path, 'value', `${name} can't be ${kindOf(value)}`, hint);
  } else {
    const [fault = '', ownHint = hint] = issue.message.split(HINT);
    const written = JSON.stringify(source.written(path));
    const text = fault.startsWith(WRITTEN)
      ? `${name}: ${written}${fault.slice(WRITTEN.length)}`
      : `${name} ${fault}`;
    source.report(path, 'value', text, ownHint);
  }
}

const EXPECTED: Record<string, string> = {
  string: 'text',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
};

function reportChoice(choices: readonly string[], path: Path, source: Source): void {
  const written = String(source.written(path));
  if (path.at(-1) === 'capture' && written === 'physical') {
    const hint = 'write capture: logical, which every PostgreSQL server permits';
    source.report(
      path,
      'value',
      'physical capture is not supported yet: it comes with a later version',
      hint,
    );
    return;
  }
  const meant = nearest(written, choices);
  const hint = meant ? `did you mean ${meant}?` : `write ${choices.join(' or ')}`;
  source.report(path, 'value', `${pathText(path)} can't be ${JSON.stringify(written)}`, hint);
}

function typeHint(issue: { expected: string }, value: unknown, hint: string): string {
  if (value === null) return hint;
  if (issue.expected === 'string' && typeof value !== 'object') return 'put it in quotes';
  if (issue.expected === 'array' && typeof value === 'string') return 'put it in brackets: [name]';
  return hint;
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return 'text';
  return typeof value === 'number'
    ? 'a number'
    : typeof value === 'boolean'
      ? 'true or false'
      : `a ${typeof value}`;
}

function schemaHint(schema: z.ZodType | null): string {
  const description = schema?.description ?? (schema && unwrap(schema).description);
  return description
    ? description.replace(/\.$/, '')
    : 'docs/reference/strategy.schema.json says what may stand here';
}

/** Whether a value, or what it stands in, hangs on a variable that is missing. */
function waitsForVariable(path: Path, source: Source): boolean {
  return path.some((_, i) => source.missing.has(keyOf(path.slice(0, i + 1))));
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let inner = value;
  for (const step of path) {
    inner = Array.isArray(inner)
      ? inner[Number(step)]
      : isMapping(inner)
        ? (inner as Mapping)[String(step)]
        : undefined;
  }
  return inner;
}

/** The part of a schema that a path leads to, with its description. */
function schemaAt(schema: z.ZodType, path: readonly PropertyKey[]): z.ZodType | null {
  let inner: z.ZodType = schema;
  for (const step of path) {
    const container = unwrap(inner);
    if (container instanceof z.ZodObject && Object.hasOwn(container.shape, step))
      inner = container.shape[String(step)];
    else if (container instanceof z.ZodArray) inner = container.element as z.ZodType;
    else return null;
  }
  const end = unwrap(inner);
  return end instanceof z.ZodObject ? end : inner;
}

/** Without "optional"; of alternatives, the mapping. */
function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional) return unwrap(schema.unwrap() as z.ZodType);
  if (!(schema instanceof z.ZodUnion)) return schema;
  const mapping = schema.options.find(option => option instanceof z.ZodObject);
  return (mapping as z.ZodType | undefined) ?? schema;
}
