import { asTidemarkError, usageError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { whileReading } from '../open/reading.ts';
import { absentCopies } from './absent.ts';
import { type Budget, Spending } from './budget.ts';
import type { VerifyFault } from './faults.ts';
import type { SnapshotCoverage } from './roster.ts';
import { type VerifiedSnapshot, VerifyRun } from './run.ts';
import { type Choice, chooseSnapshots } from './select.ts';

export interface VerifyRequest extends Choice {
  strategy: Strategy;
  /** Absent: whatever it takes. */
  budget?: Budget;
  /** Checks that long before now count as coverage; 30 days unless said otherwise. */
  coverageMs?: number;
  reporter: Reporter;
  signal: AbortSignal;
}

/** What `tidemark verify --json` prints. */
export interface VerifyResult {
  /** No fault was found in what was read. */
  ok: boolean;
  /** Everything that the snapshots need was read, as is not so within a budget. */
  whole: boolean;
  /** Empty within a budget: none is verified as such. */
  snapshots: VerifiedSnapshot[];
  coverage: SnapshotCoverage[];
  /** Packs that were read, and that the snapshots need. */
  packs: { checked: number; all: number };
  /** Objects read, and their bytes. */
  objects: number;
  bytesRead: number;
  faults: VerifyFault[];
  seconds: number;
}

const COVERAGE_MS = 30 * 86_400_000;

/**
 * Reads every byte that the snapshots need and checks it, or as much as a budget allows; what is wrong is in the result,
 * not thrown. What was read is recorded in the repository.
 */
export async function verify(request: VerifyRequest): Promise<VerifyResult> {
  const started = performance.now();
  const { strategy, given, all, budget, coverageMs = COVERAGE_MS } = request;
  const run = new VerifyRun({ ...request, coverageMs });
  // Within a budget all is meant where nothing is given.
  const choice = { ...request, all: all || (budget !== undefined && given.length === 0) };
  const chosen = await chooseSnapshots(strategy, choice, run.faults);
  const note = (line: string) => request.reporter.note(line);
  const spending = budget && new Spending(budget);
  const several = strategy.repositories.size > 1 && choice.repository === undefined;
  for (const [i, each] of chosen.entries()) {
    spending?.share(chosen.length - i - 1);
    try {
      await whileReading(each.repository, note, () =>
        spending ? run.budgeted(each, spending) : run.repository(each),
      );
    } catch (error) {
      const found = asTidemarkError(error);
      if (found.kind === 'interrupted' || !several) throw error;
      run.brokenOff(each.name, found);
    }
  }
  const wanted = given.length === 0 ? [...strategy.databases.keys()] : given;
  const databases = wanted.filter(what => strategy.databases.has(what));
  const unsure = new Set(run.faults.list().map(fault => fault.repository));
  const held = new Map(chosen.map(({ name }) => [name, run.databasesIn(name)]));
  for (const { repository, error } of absentCopies(strategy, databases, held))
    if (!unsure.has(repository)) run.faults.add(repository, 'snapshots', error, []);
  const faults = run.faults.list();
  if (run.snapshots.length + run.coverage.length === 0 && faults.length === 0) {
    throw usageError(
      'NO_SNAPSHOTS',
      'there is no snapshot to verify',
      'take one with: tidemark backup <database>',
    );
  }
  const hurt = new Set(faults.flatMap(fault => fault.snapshots.map(id => `${fault.repository} ${id}`)));
  for (const each of run.snapshots) each.ok = !hurt.has(`${each.repository} ${each.snapshot}`);
  const { snapshots, coverage, packs, objects, bytesRead } = run;
  const seconds = (performance.now() - started) / 1000;
  return {
    ...{ ok: faults.length === 0, whole: budget === undefined, snapshots, coverage, packs },
    ...{ objects, bytesRead, faults, seconds },
  };
}
