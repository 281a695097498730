import type { Finding, Level } from '../operations/finding.ts';
import { paint, table } from './output.ts';

const COLOURS = { ok: 'green', warning: 'yellow', fault: 'red' } as const satisfies Record<Level, string>;

/** Findings as a table; below it, what to do about those that are not ok. */
export function* findingLines(findings: readonly Finding[]): Iterable<string> {
  const rows = findings.map(({ subject, check, level, message }) => [subject, check, level, message]);
  const [head, ...lines] = table([['what', 'check', 'result', 'found'], ...rows]);
  yield head!;
  for (const [i, line] of lines.entries()) {
    const { level } = findings[i]!;
    yield level === 'ok' ? line : paint(COLOURS[level], line);
  }
  const todo = findings.filter(each => each.level !== 'ok');
  if (todo.length > 0) yield '';
  for (const { subject, check, level, hint } of todo) yield `${level}: ${subject}, ${check}: ${hint}`;
}
