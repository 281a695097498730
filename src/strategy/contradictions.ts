/** What is wrong between entries, each of which is right by itself. */
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { folderOf, kindOf, locationOf } from '../storage/kinds.ts';
import { intervalMs } from './cron.ts';
import { formatDuration } from './duration.ts';
import { nearest } from './nearest.ts';
import type { PlanEntry } from './schema.ts';
import { isMapping, keyOf, type Mapping, type Source } from './source.ts';
import { formatSpan, longestMs } from './span.ts';
import type { DatabaseSpec, PlanSpec, RepositorySpec } from './spec.ts';

/** The names that a plan refers to and that nothing has. Looks at what was written, so that broken plans are seen too. */
export function checkReferences(
  plans: Mapping,
  databases: Mapping,
  repositories: Mapping,
  source: Source,
): void {
  for (const [name, plan] of Object.entries(plans)) {
    if (!isMapping(plan)) continue;
    checkReference(plan.database, ['plans', name, 'database'], databases, 'database', source);
    if (!Array.isArray(plan.store)) continue;
    plan.store.forEach((entry, i) => {
      const own = isMapping(entry);
      const path: ReferencePath = ['plans', name, 'store', i, ...(own ? ['repository'] : [])];
      checkReference(own ? entry.repository : entry, path, repositories, 'repository', source);
    });
  }
}

type ReferencePath = [string, string, ...(string | number)[]];

function checkReference(
  written: unknown,
  path: ReferencePath,
  known: Mapping,
  what: string,
  source: Source,
): void {
  if (typeof written !== 'string' || written === '' || written in known || source.missing.has(keyOf(path)))
    return;
  const names = Object.keys(known);
  const meant = nearest(written, names);
  const those =
    names.length > 0 ? `there is ${names.map(name => JSON.stringify(name)).join(', ')}` : `there is none yet`;
  const shown = JSON.stringify(source.written(path));
  source.report(
    path,
    'value',
    `plans.${path[1]}: no ${what} is called ${shown}`,
    meant ? `did you mean ${JSON.stringify(meant)}?` : those,
  );
}

/** Two repositories on one storage, or one within the other, would collect each other's packs. */
export function checkLocations(repositories: Iterable<RepositorySpec>, source: Source): void {
  const known: { name: string; location: string }[] = [];
  for (const { name, storage } of repositories) {
    const folder = folderOf(storage);
    const location = folder === null ? locationOf(storage) : realFolder(folder);
    for (const other of known) {
      const how = relation(location, other.location);
      if (how === null) continue;
      const message = `repositories.${name} ${how} repositories.${other.name}`;
      const hint = 'give each its own folder, or remove one and share the other';
      source.report(['repositories', name, 'storage'], 'value', message, hint);
    }
    known.push({ name, location });
  }
}

function relation(one: string, other: string): string | null {
  const within = (inner: string, outer: string) =>
    inner.startsWith(outer.endsWith('/') ? outer : `${outer}/`);
  if (one === other) return 'lies on the same storage as';
  if (within(one, other)) return 'lies within';
  return within(other, one) ? 'contains' : null;
}

/** A folder by the way that has no symbolic links, as far as it is there. */
function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    const parent = path.dirname(folder);
    return parent === folder ? folder : path.join(realFolder(parent), path.basename(folder));
  }
}

/** Every repository of a plan must have the class that the plan wants. */
export function checkClasses(
  plans: Iterable<PlanSpec>,
  repositories: ReadonlyMap<string, RepositorySpec>,
  source: Source,
): void {
  for (const { name, store, storageClass } of plans) {
    if (storageClass === null) continue;
    for (const repository of store) {
      const storage = repositories.get(repository)?.storage;
      if (!storage) continue;
      const classes = Object.keys(kindOf(storage).classes);
      if (classes.includes(storageClass)) continue;
      source.report(
        ['plans', name, 'class'],
        'value',
        `plans.${name}: repository ${repository} has no class ${storageClass}`,
        classes.length > 0 ? `it has ${classes.join(', ')}` : 'remove class, or store to object storage',
      );
    }
  }
}

/** A retention that forgets a snapshot before the next one is there. */
export function checkRetention(plans: Iterable<PlanSpec>, written: Mapping, source: Source): void {
  for (const { name, schedule, store, keep } of plans) {
    if (!schedule) continue;
    for (const [i, repository] of store.entries()) {
      const within = keep.get(repository)?.within;
      if (!within || longestMs(within) >= schedule.intervalMs) continue;
      const message = `plans.${name} keeps for ${formatSpan(within)}, but up to ${formatDuration(schedule.intervalMs)} pass between snapshots`;
      const hint = 'keep longer than that, or count snapshots instead: { last: 3 }';
      const own = isMapping((written[name] as PlanEntry).store[i]);
      const path = ['plans', name, ...(own ? ['store', i] : []), 'keep', 'within'];
      source.report(path, 'value', message, hint);
    }
  }
}

/**
 * An RPO that no plan can meet: the longest time in which no plan of the database captures its rows is longer. Plans of
 * one database help each other; schema-only plans don't count.
 */
export function checkObjectives(
  databases: Iterable<DatabaseSpec>,
  plans: readonly PlanSpec[],
  source: Source,
): void {
  for (const { name, objectives } of databases) {
    if (objectives.rpoMs === null) continue;
    const own = plans.filter(plan => plan.database === name && !plan.schemaOnly);
    const crons = own.flatMap(plan => (plan.schedule ? [plan.schedule.cron] : []));
    const rpo = formatDuration(objectives.rpoMs);
    const report = (why: string, hint: string) => {
      const path = ['databases', name, 'objectives', 'rpo'];
      source.report(path, 'value', `databases.${name}: no plan can meet the RPO of ${rpo}: ${why}`, hint);
    };
    if (own.length === 0)
      report('none captures its rows', `add a plan that runs at least every ${rpo}, or remove rpo`);
    else if (crons.length === 0)
      report('all of its plans are manual', `give one a schedule, at least every ${rpo}, or remove rpo`);
    else if (intervalMs(...crons) > objectives.rpoMs) {
      const passes = formatDuration(intervalMs(...crons));
      report(
        `up to ${passes} pass between snapshots`,
        `schedule a plan at least every ${rpo}, or promise ${passes}`,
      );
    }
  }
}
