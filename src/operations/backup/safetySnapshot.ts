import { DEFAULT_LEVEL } from '../../repository/format/seal.ts';
import { type PlanSpec, SAFETY_PLAN, type Strategy } from '../../strategy/spec.ts';
import { storesOf } from '../open/open.ts';

/**
 * How the state that a restore is about to replace is captured: wholly, into the repositories of one of its plans, of
 * which the first that can be written is enough. What stays of such snapshots is the database's `safety.keep`.
 */
export function safetyPlan(strategy: Strategy, database: string): PlanSpec {
  const plan = [...strategy.plans.values()].find(each => each.database === database) ?? null;
  return {
    ...{
      capture: 'logical',
      storageClass: null,
      jobs: null,
      lockWaitMs: null,
      compression: DEFAULT_LEVEL,
      rolePasswords: null,
    },
    ...plan,
    name: SAFETY_PLAN,
    database,
    schedule: null,
    store: storesOf(strategy, plan),
    keep: new Map(),
    tables: { include: [], exclude: [] },
    schemaOnly: false,
    dataOnly: false,
  };
}
