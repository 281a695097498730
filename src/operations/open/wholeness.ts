import type { Scope } from '../../capture/logical/part.ts';
import type { Manifest } from '../../repository/manifest.ts';
import { type Coverage, isWhole as coversAll } from '../../strategy/coverage.ts';
import { SAFETY_PLAN } from '../../strategy/spec.ts';

/** Names shown before the rest is only counted. */
const NAMES_MAX = 3;

/** What of its database a snapshot holds. */
export function coverageOf({ scope }: Pick<Manifest, 'scope'>): Coverage {
  return scope as Scope;
}

/** Whether a snapshot holds all of its database. */
export function isWhole(manifest: Pick<Manifest, 'scope'>): boolean {
  return coversAll(coverageOf(manifest));
}

/**
 * Why a snapshot is not meant where only its database is named, in words; null where it may be. What a plan leaves out of
 * every snapshot of its is no reason; what was left out by hand is, and so is what a plan captures a part for. A safety
 * snapshot has the state that somebody wanted to get rid of.
 */
export function partOf({ plan, scope }: Pick<Manifest, 'plan' | 'scope'>): string | null {
  const part = [...(plan === SAFETY_PLAN ? ['safety snapshot'] : []), ...lacks(scope as Scope, plan)];
  return part.length === 0 ? null : part.join(', ');
}

function lacks(scope: Scope, plan: string | null): string[] {
  const { tables, excludeTables, schemaOnly, dataOnly, narrowed } = scope;
  const byHand = narrowed === true || plan === null;
  return [
    ...(tables.length > 0 ? [`only ${some(tables)}`] : []),
    ...(excludeTables.length > 0 && byHand ? [`without ${some(excludeTables)}`] : []),
    ...(schemaOnly ? ['definitions only'] : []),
    ...(dataOnly ? ['rows only'] : []),
  ];
}

function some(names: readonly string[]): string {
  const more = names.length - NAMES_MAX;
  return more > 0 ? `${names.slice(0, NAMES_MAX).join(', ')} and ${more} more` : names.join(', ');
}

/** Snapshots that are not what was meant, with the reason; the newest first. */
export type PassedOver = readonly { snapshot: string; part: string }[];

/** `20261130-… (safety snapshot), 20261130-… (only public.a)`. */
export function passedOverText(passed: PassedOver): string {
  const shown = passed.slice(0, NAMES_MAX).map(({ snapshot, part }) => `${snapshot} (${part})`);
  const more = passed.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
