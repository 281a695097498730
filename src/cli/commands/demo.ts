import { demo } from '../../operations/demo/demo.ts';
import type { CliCommand } from '../command.ts';
import { formatBytes, formatCount, formatSeconds, paint, printable } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

export const command: CliCommand = {
  name: 'demo',
  summary: SUMMARIES.demo,
  define() {},
  async run({ output, signal, version }) {
    const units = { bytes: formatBytes, count: formatCount, seconds: formatSeconds };
    const told = output.json ? QUIET : teller();
    const result = await demo(told, units, version, signal).finally(() => told.stop());
    output.result(result, () => [
      '',
      `${paint('green', 'It came back, byte for byte.')} All of it took ${formatSeconds(result.seconds.total)}; nothing was left on this machine.`,
      'Now with a database of yours: tidemark init "$DATABASE_URL"',
    ]);
    return undefined;
  },
};

const QUIET = { begin() {}, end() {}, stop() {} };

/** A line a step; on a terminal the step is there while it runs, with what came of it behind it at the end. */
function teller() {
  const live = process.stdout.isTTY === true && process.env.TERM !== 'dumb';
  let step = '';
  let spinner: NodeJS.Timeout | undefined;
  let turn = 0;
  const marks = ['·', '✢', '✳', '✶', '✳', '✢'];
  return {
    stop() {
      clearInterval(spinner);
    },
    begin(text: string) {
      step = text;
      if (!live) return;
      const draw = () =>
        process.stdout.write(
          `\r\x1b[2K${printable(`${paint('cyan', marks[turn++ % marks.length]!)} ${step} …`)}`,
        );
      draw();
      spinner = setInterval(draw, 120);
    },
    end(outcome: string) {
      clearInterval(spinner);
      const line = printable(`${paint('green', '✓')} ${step}: ${paint('bold', outcome)}`);
      process.stdout.write(`${live ? '\r\x1b[2K' : ''}${line}\n`);
    },
  };
}
