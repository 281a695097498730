import { check } from '../../operations/check/check.ts';
import { readStrategy } from '../../operations/open/strategy.ts';
import type { CliCommand } from '../command.ts';
import { EXIT } from '../exit.ts';
import { findingLines } from '../findings.ts';
import { SUMMARIES } from '../summaries.ts';

/**
 * Exit code 2 where the strategy itself is invalid, 3 where a check found a fault. With --json:
 *
 *     { "ok": boolean, "findings": [{ "subject", "check", "level": "ok" | "warning" | "fault", "message", "hint" }] }
 */
export const command: CliCommand = {
  name: 'check',
  summary: SUMMARIES.check,
  define(command) {
    command.option('--online', 'also connect to every database, and open and try every repository');
  },
  async run({ config, environment, output, signal }, _args, options) {
    const strategy = await readStrategy(config, environment, undefined, output.note);
    const result = await check(strategy, options.online === true, signal);
    output.result(result, function* () {
      yield* findingLines(result.findings);
      const count = (level: string) => result.findings.filter(each => each.level === level).length;
      yield '';
      yield `${count('fault')} faults, ${count('warning')} warnings, ${count('ok')} ok`;
    });
    return result.ok ? EXIT.done : EXIT.fault;
  },
};
