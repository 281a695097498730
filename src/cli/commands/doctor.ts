import { type DoctorResult, examineStorage } from '../../operations/doctor/doctor.ts';
import type { CliCommand, CliGroup } from '../command.ts';
import { EXIT } from '../exit.ts';
import { LEAVES } from '../leaves.ts';
import { formatBytes, formatCount, formatSeconds, paint, table } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

/** Where the clocks differ by less, it is the way there that differs. */
const CLOCK_SHOWN_MS = 1000;

/** Exit code 3 where a law is broken or something could not be removed. With --json: `DoctorResult` of the operation. */
const storage: CliCommand = {
  name: 'storage <repository>',
  summary: SUMMARIES.doctor,
  leaves: LEAVES.doctor,
  define(command) {
    command.addHelpText(
      'after',
      '\nWrites some hundred objects under ‘doctor/’ beside the repository’s own, reads and removes them, and says what the' +
        '\nstorage does and what it can’t do. About 80 MB go each way. Needs no key, and no repository there.' +
        '\nExit code 3 if the storage breaks a law that backups rely on.',
    );
  },
  async run({ output, progress, signal, strategy }, [repository]) {
    const result = await examineStorage({
      strategy: await strategy({ databases: [], repositories: [] }),
      repository: repository as string,
      reporter: progress,
      signal,
    });
    output.result(result, () => lines(result));
    return result.ok ? EXIT.done : EXIT.fault;
  },
};

export const command: CliGroup = {
  name: 'doctor',
  summary: SUMMARIES.doctor,
  commands: [storage],
};

function* lines(result: DoctorResult): Iterable<string> {
  const { laws, left, remarks, seconds, requests } = result;
  for (const { law, error } of laws) {
    yield `${error === null ? paint('green', 'ok    ') : paint('red', 'BROKEN')}  ${law}`;
    if (error !== null) yield `        ${error.message} [${error.code}]`;
  }
  yield '';
  yield* table([['what', 'found'], ...abilities(result)]);
  for (const remark of remarks) yield `${paint('yellow', 'note:')} ${remark}`;
  for (const name of left) yield `${paint('red', 'left behind:')} ${name} could not be removed`;
  const broken = laws.filter(each => !each.ok).length;
  const verdict =
    broken === 0 ? `all ${laws.length} laws are kept` : `${broken} of ${laws.length} laws are broken`;
  const count = Object.values(requests).reduce((sum, each) => sum + each, 0);
  yield '';
  yield `${broken === 0 ? verdict : paint('red', verdict)}: ${formatCount(count)} requests in ${formatSeconds(seconds)}`;
  const hints = new Set(laws.flatMap(each => each.error?.hint ?? []));
  for (const hint of hints) yield `  ${hint}`;
}

function abilities(result: DoctorResult): string[][] {
  const { place, region, clockOffsetMs, conditionalWrites, classes, locks, thaw, speed, repeated } = result;
  const yes = (is: boolean): string => (is ? 'yes' : 'no');
  const ahead = `${(Math.abs(clockOffsetMs) / 1000).toFixed(1)} s ${clockOffsetMs > 0 ? 'ahead of' : 'behind'}`;
  return [
    ['place', place],
    ['region', region ?? 'it doesn’t say'],
    ['conditional writes', yes(conditionalWrites)],
    ['clock', Math.abs(clockOffsetMs) < CLOCK_SHOWN_MS ? 'as this machine’s' : `${ahead} this machine’s`],
    ['classes', classes.join(', ') || 'none'],
    ['objects can be locked', yes(locks)],
    ['frozen objects can be thawed', thaw ? 'yes' : 'there are none'],
    ['put', `${formatBytes(speed.putBytesPerSecond)}/s (${formatBytes(speed.sizeBytes)}, one at a time)`],
    ['get', `${formatBytes(speed.getBytesPerSecond)}/s`],
    ['get of 100 bytes', `${speed.smallGetMs.toFixed(1)} ms`],
    ['requests retried', formatCount(repeated)],
  ];
}
