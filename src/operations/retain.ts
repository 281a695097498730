import { type Holdings, packsAreThere } from '../repository/holdings.ts';
import { type Manifest, manifestName } from '../repository/manifest.ts';
import { decide } from '../strategy/retention.ts';
import type { Strategy } from '../strategy/spec.ts';

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

/**
 * Applies the plans' `keep` rules to the snapshots of one repository, newest first. A plan's rules decide over what that
 * plan made of its database, and over what was captured in part (`backup --table`) apart from the rest, so that the
 * one never takes the other's place. What no plan of the strategy made stays. A snapshot is good if all its packs are there.
 */
export function retain(strategy: Strategy, holdings: Holdings): Retained[] {
  const groups = new Map<string, Manifest[]>();
  const retained: Retained[] = [];
  for (const manifest of holdings.snapshots.values()) {
    const why = outsidePlans(strategy, manifest);
    if (why !== null) retained.push(describe(manifest, true, [why]));
    else {
      const { plan, database, scope } = manifest;
      const key = JSON.stringify([
        plan,
        database,
        scope.tables,
        scope.excludeTables,
        scope.schemaOnly,
        scope.dataOnly,
      ]);
      const group = groups.get(key);
      if (group) group.push(manifest);
      else groups.set(key, [manifest]);
    }
  }
  for (const manifests of groups.values()) {
    const { keep } = strategy.plans.get(manifests[0]!.plan!)!;
    const points = manifests.map(manifest => ({
      id: manifestName(manifest),
      time: new Date(manifest.started),
      good: packsAreThere(holdings.packs, manifest),
    }));
    const damaged = new Set(points.filter(point => !point.good).map(point => point.id));
    for (const { id, keep: stays, reasons } of decide(points, keep, holdings.readAt)) {
      const why = damaged.has(id) ? ['packs are missing', ...reasons] : reasons;
      retained.push(describe(holdings.snapshots.get(id)!, stays, why));
    }
  }
  return retained.sort((a, b) => (a.snapshot < b.snapshot ? 1 : -1));
}

/** Why no plan decides over a snapshot; null where one does. */
function outsidePlans(strategy: Strategy, manifest: Manifest): string | null {
  if (manifest.plan === null) return 'made without a plan';
  const plan = strategy.plans.get(manifest.plan);
  if (!plan) return `plan ${manifest.plan} is not in the strategy`;
  if (plan.database !== manifest.database) return `plan ${manifest.plan} is for ${plan.database} now`;
  return null;
}

function describe(manifest: Manifest, keep: boolean, reasons: string[]): Retained {
  const { snapshot, database, plan, started } = manifest;
  return { snapshot, name: manifestName(manifest), database, plan, started, keep, reasons };
}
