import { isAhead } from '../../repository/clock.ts';
import type { HeldSnapshot } from '../../repository/collect/contents.ts';
import { type Hold, holdText, standing } from '../../repository/guards/holds.ts';
import { manifestName } from '../../repository/manifest.ts';
import { coverageKey } from '../../strategy/coverage.ts';
import { describeKeep, type KeepRules } from '../../strategy/keep.ts';
import { decide, type RetentionGroup, type RetentionPoint } from '../../strategy/retention.ts';
import { type PlanSpec, SAFETY_PLAN, type Strategy } from '../../strategy/spec.ts';
import { coverageOf } from '../open/wholeness.ts';

/** Whether a snapshot stays in its repository, and why. */
export interface Retained {
  snapshot: string;
  /** Of its manifest. */
  name: string;
  database: string;
  plan: string | null;
  started: string;
  keep: boolean;
  reasons: string[];
}

/** What a plan made of its database: the same rules decide over all of it. */
export interface RetainedGroup {
  database: string;
  plan: string | null;
  /** The rules in words, `within 30d, at least 2`; null where none decides, for the reason that `because` gives. */
  keep: string | null;
  because: string | null;
  /** Newest first. */
  snapshots: Retained[];
}

/** What retention goes by. */
export interface Retainable {
  readAt: Date;
  /** By the names of their manifests. */
  snapshots: ReadonlyMap<string, RetainableSnapshot>;
  /** By the ids of snapshots. */
  holds: ReadonlyMap<string, Hold[]>;
}

/** What retention has to know of a snapshot. */
export type RetainableSnapshot = Pick<
  HeldSnapshot,
  'snapshot' | 'copied' | 'database' | 'plan' | 'started' | 'scope' | 'good'
>;

/**
 * Applies the `keep` rules that the plans have for a repository to its snapshots. A plan's rules decide over what that plan
 * made of its database; what no plan of the strategy made for this repository stays, safety snapshots apart, which have
 * rules of their own. A snapshot is good if all its packs are there
 * and none is known to be damaged.
 */
export function retain(strategy: Strategy, repository: string, holdings: Retainable): RetainedGroup[] {
  const byDatabase = new Map<string, Map<string | null, RetainableSnapshot[]>>();
  for (const manifest of holdings.snapshots.values()) {
    const { database, plan } = manifest;
    const plans = byDatabase.get(database) ?? new Map<string | null, RetainableSnapshot[]>();
    byDatabase.set(database, plans);
    const manifests = plans.get(plan);
    if (manifests) manifests.push(manifest);
    else plans.set(plan, [manifest]);
  }
  return [...byDatabase].sort(byName).flatMap(([database, plans]) => {
    const rulings = [...plans].sort(byName).map(([plan, manifests]) => ({
      plan,
      manifests,
      ruling: rulingOf(strategy, repository, database, plan),
    }));
    const groups = rulings.map(each => retentionGroup(strategy, holdings, each));
    const decisions = decide(groups, holdings.readAt);
    return rulings.map(({ plan, manifests, ruling }) => {
      const own = new Set(manifests.map(manifestName));
      const snapshots = decisions
        .filter(({ id }) => own.has(id))
        .map(({ id, keep, reasons }) => describe(holdings, id, keep, reasons));
      const because = ruling.because ?? null;
      return { database, plan, keep: because ? null : describeKeep(ruling.keep), because, snapshots };
    });
  });
}

interface Ruling {
  keep: KeepRules | null;
  /** Why no rule decides. */
  because?: string;
}

/** What decides over the snapshots that a plan made of a database. */
function rulingOf(
  { plans, databases }: Strategy,
  repository: string,
  database: string,
  name: string | null,
): Ruling {
  if (name === null) return stays('made without a plan');
  if (name === SAFETY_PLAN) {
    const spec = databases.get(database);
    return spec ? { keep: spec.safetyKeep } : stays(`${database} is not in the strategy`);
  }
  const plan = plans.get(name);
  if (!plan) return stays(`plan ${name} is not in the strategy`);
  if (plan.database !== database) return stays(`plan ${name} is for ${plan.database} now`);
  const keep = plan.keep.get(repository);
  return keep === undefined ? stays(`plan ${name} does not store to ${repository}`) : { keep };
}

const stays = (why: string): Ruling => ({
  keep: null,
  because: `${why}: stays until it is forgotten by hand`,
});

function retentionGroup(
  { plans }: Strategy,
  { holds, readAt }: Retainable,
  { plan, manifests, ruling }: { plan: string | null; manifests: RetainableSnapshot[]; ruling: Ruling },
): RetentionGroup {
  const planned = plans.has(plan ?? '') ? plannedCoverage(plans.get(plan!)!) : null;
  const points = manifests.map(
    (manifest): RetentionPoint => ({
      id: manifestName(manifest),
      time: new Date(manifest.started),
      // One dated in the future would count as the newest until then: it takes the place of none.
      good: manifest.good && !isAhead(manifest.snapshot, readAt),
      coverage: coverageOf(manifest),
      planned: coverageKey(coverageOf(manifest)) === planned,
      holds: [
        ...standing(holds.get(manifest.snapshot)).map(holdText),
        ...(isAhead(manifest.snapshot, readAt) ? ['dated in the future'] : []),
      ],
    }),
  );
  return { points, ...ruling, aside: plan === SAFETY_PLAN };
}

function plannedCoverage({ tables, schemaOnly, dataOnly }: PlanSpec): string {
  const { include, exclude } = tables;
  return coverageKey({ tables: include, excludeTables: exclude, schemaOnly, dataOnly });
}

function describe(holdings: Retainable, name: string, keep: boolean, reasons: string[]): Retained {
  const manifest = holdings.snapshots.get(name)!;
  const { snapshot, database, plan, started } = manifest;
  const damage = manifest.good ? [] : ['packs are missing or damaged'];
  return { snapshot, name, database, plan, started, keep, reasons: [...damage, ...reasons] };
}

/** By name; what has none comes last. */
function byName([a]: [string | null, unknown], [b]: [string | null, unknown]): number {
  if (a === b) return 0;
  return b === null || (a !== null && a < b) ? -1 : 1;
}
