import { BUDGETS, type Budget, WORK_TITLES, WORKS, type Work } from './budgets.ts';
import type { Measurement } from './measure.ts';
import type { Sample } from './rounds.ts';
import type { ToolName } from './tools/tool.ts';

/** One tool's medians at one work. */
export interface Result extends Measurement {
  work: Work;
  tool: ToolName;
  runs: number;
  addedBytes: number;
}

export interface Verdict extends Budget {
  /** Null where one of the two was not measured. */
  value: number | null;
  reached: boolean | null;
}

export function summarize(samples: readonly Sample[]): Result[] {
  const results: Result[] = [];
  for (const work of WORKS) {
    const tools = new Set(samples.filter(sample => sample.work === work).map(sample => sample.tool));
    for (const tool of [...tools].sort(oursFirst)) {
      const runs = samples.filter(sample => sample.work === work && sample.tool === tool);
      const middle = (of: (sample: Sample) => number) => median(runs.map(of));
      results.push({
        work,
        tool,
        runs: runs.length,
        seconds: middle(sample => sample.seconds),
        clientCpuSeconds: middle(sample => sample.clientCpuSeconds),
        serverCpuSeconds: middle(sample => sample.serverCpuSeconds),
        peakBytes: middle(sample => sample.peakBytes),
        addedBytes: middle(sample => sample.addedBytes),
      });
    }
  }
  return results;
}

export function judge(results: readonly Result[]): Verdict[] {
  return BUDGETS.map(budget => {
    const value = ratioOf(budget, results);
    const reached =
      value === null
        ? null
        : value >= (budget.atLeast ?? 0) && value <= (budget.atMost ?? Number.POSITIVE_INFINITY);
    return { ...budget, value, reached };
  });
}

function ratioOf(
  { work, tool = 'tidemark', against, figure }: Budget,
  results: readonly Result[],
): number | null {
  const ours = results.find(result => result.work === work && result.tool === tool);
  if (!ours) return null;
  if (figure === 'peakBytes') return ours.peakBytes;
  const theirs = results.find(result => result.work === work && result.tool === against);
  if (!theirs) return null;
  if (figure === 'speed') return theirs.seconds / ours.seconds;
  if (figure === 'time') return ours.seconds / theirs.seconds;
  return ours.addedBytes / theirs.addedBytes;
}

export function formatReport(results: readonly Result[], verdicts: readonly Verdict[]): string {
  const lines: string[] = [];
  for (const work of WORKS) {
    const rows = results.filter(result => result.work === work);
    if (rows.length === 0) continue;
    lines.push('', WORK_TITLES[work], HEAD, ...rows.map(formatResult));
  }
  const judged = verdicts.filter(verdict => verdict.value !== null);
  lines.push('', 'figures to reach', ...judged.map(formatVerdict));
  const missed = judged.filter(verdict => verdict.reached === false).length;
  lines.push(
    `${judged.length - missed} reached, ${missed} missed, ${verdicts.length - judged.length} not measured`,
  );
  return lines.join('\n');
}

const HEAD = ['  ', 'seconds', 'client CPU', 'server CPU', 'peak MiB', 'added MB']
  .map((title, i) => (i === 0 ? title.padEnd(24) : title.padStart(11)))
  .join('');

function formatResult(result: Result): string {
  const figures = [
    result.seconds.toFixed(2),
    result.clientCpuSeconds.toFixed(2),
    result.serverCpuSeconds.toFixed(2),
    (result.peakBytes / 2 ** 20).toFixed(0),
    (result.addedBytes / 1e6).toFixed(2),
  ];
  return `  ${result.tool}`.padEnd(24) + figures.map(figure => figure.padStart(11)).join('');
}

function formatVerdict({ work, tool, against, figure, atLeast, atMost, value, reached }: Verdict): string {
  const what = tool === undefined ? work : `${work}, ${tool}`;
  const mark = reached ? 'reached' : 'MISSED ';
  if (figure === 'peakBytes') {
    return `  ${mark}  ${what}: peak memory ${mebibytes(value!)}, at most ${mebibytes(atMost!)}`;
  }
  const wanted = atLeast === undefined ? `at most ${atMost} ×` : `at least ${atLeast} ×`;
  return `  ${mark}  ${what}: ${figure} ${value!.toFixed(3)} × of ${against}, ${wanted}`;
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

export function formatSample(sample: Sample): string {
  return `${sample.work.padEnd(15)} round ${sample.round + 1} ${formatResult({ ...sample, runs: 1 })}`;
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function oursFirst(a: ToolName, b: ToolName): number {
  return Number(b.startsWith('tidemark')) - Number(a.startsWith('tidemark'));
}
