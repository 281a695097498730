import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

/** One test of a file, as the reporter writes it: a line of JSON each, as soon as the test is over. */
export interface TestResult {
  name: string;
  outcome: 'passed' | 'failed' | 'skipped';
  durationMs: number;
  /** Why it was skipped, or how it failed. */
  reason?: string;
}

/** A reporter for `node --test-reporter`. Suites, unless they are skipped whole, and tests that failed only because one inside did, are not counted. */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const inside: string[] = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') inside[data.nesting] = data.name;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const { details, nesting, skip, todo } = data;
    const error = 'error' in details ? details.error : undefined;
    if (details.type === 'suite' && !ownFailure(error) && skip === undefined) continue;
    if (error && !ownFailure(error)) continue;
    const name = [...inside.slice(0, nesting), data.name].join(' › ');
    const result: TestResult = { name, outcome: 'passed', durationMs: details.duration_ms };
    if (skip !== undefined || todo !== undefined) {
      result.outcome = 'skipped';
      result.reason = [skip, todo].filter(reason => typeof reason === 'string').join() || 'no reason given';
    } else if (type === 'test:fail') {
      result.outcome = 'failed';
      result.reason = inspect(error?.cause ?? error);
    }
    yield `${JSON.stringify(result)}\n`;
  }
}

function ownFailure(error: unknown): boolean {
  return error !== undefined && (error as { failureType?: string }).failureType !== 'subtestsFailed';
}
