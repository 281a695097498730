import { stat } from 'node:fs/promises';
import path from 'node:path';
import { asTidemarkError } from '../../base/errors.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';
import { folderOf, kindOf } from '../../storage/kinds.ts';
import { isWhole } from '../../strategy/coverage.ts';
import type { DatabaseSpec, PlanSpec, RepositorySpec, Strategy } from '../../strategy/spec.ts';
import { judgeCopies, type PlanFacts } from '../../watch/copies.ts';
import { judgeNewest, type StoredFacts } from '../../watch/newest.ts';
import { type Site, siteOfFolder, siteOfHost } from '../../watch/site.ts';
import { type Finding, Findings } from '../finding.ts';
import type { OpenPlaces } from '../open/snapshots.ts';
import { lookAtStored, type StoredLook } from './checkStored.ts';

/** How the plans of a database keep the 3-2-1 rule. Connects to nothing. */
export async function checkRule(
  strategy: Strategy,
  database: DatabaseSpec,
  settings: ConnectionSettings,
): Promise<Finding[]> {
  const findings = new Findings(`database ${database.name}`);
  const repositories = await Promise.all(
    [...strategy.repositories.values()].map(async spec => {
      return { name: spec.name, offsite: spec.offsite, ...(await siteOf(spec)) };
    }),
  );
  const plans = plansOf(strategy, database.name).map(planFacts);
  const at = siteOfHost(settings.hosts[0]?.host ?? 'localhost', 'database');
  const { rpoMs } = database.objectives;
  for (const each of judgeCopies({ database: database.name, at, rpoMs, plans, repositories }))
    findings.add(each);
  return findings.all;
}

function plansOf({ plans }: Strategy, database: string): PlanSpec[] {
  return [...plans.values()].filter(plan => plan.database === database);
}

function planFacts({ name, schedule, tables, schemaOnly, dataOnly, store }: PlanSpec): PlanFacts {
  const whole = isWhole({ tables: tables.include, excludeTables: tables.exclude, schemaOnly, dataOnly });
  return { name, intervalMs: schedule?.intervalMs ?? null, whole, store };
}

async function siteOf({ storage }: RepositorySpec): Promise<Site> {
  const folder = folderOf(storage);
  if (folder !== null) return siteOfFolder(await ownFileSystem(folder));
  const host = kindOf(storage).host(storage) ?? 'localhost';
  return siteOfHost(host, storage.kind === 'sftp' ? 'files' : 'objects');
}

/** Where the file system is mounted that a folder is on, or will be; null where it is the one of the machine's root. */
async function ownFileSystem(folder: string): Promise<string | null> {
  const deviceOf = (at: string) =>
    stat(at).then(
      found => found.dev,
      () => undefined,
    );
  let at = folder;
  while ((await deviceOf(at)) === undefined && path.dirname(at) !== at) at = path.dirname(at);
  const device = await deviceOf(at);
  if (device === (await deviceOf('/'))) return null;
  while ((await deviceOf(path.dirname(at))) === device) at = path.dirname(at);
  return at;
}

/** What is in the repositories, and whether it is as new as it should be; one that can't be read is told of elsewhere. */
export async function checkNewest(strategy: Strategy, { places }: OpenPlaces): Promise<Finding[]> {
  const found = new Map<string, StoredLook['newest']>();
  const findings: Finding[] = [];
  for (const place of places) {
    try {
      const look = await lookAtStored(strategy, place);
      found.set(place.name, look.newest);
      findings.push(...look.findings);
    } catch (error) {
      const broken = new Findings(`repository ${place.name}`);
      broken.failure('snapshots', asTidemarkError(error));
      findings.push(...broken.all);
    }
  }
  const ages = [...strategy.databases.values()].flatMap(database => newestOf(strategy, database, found));
  return [...findings, ...ages];
}

function newestOf(
  strategy: Strategy,
  { name: database, objectives }: DatabaseSpec,
  found: ReadonlyMap<string, ReadonlyMap<string, StoredFacts['newest']>>,
): Finding[] {
  const findings = new Findings(`database ${database}`);
  const whole = plansOf(strategy, database)
    .map(planFacts)
    .filter(plan => plan.whole);
  const repositories = [...found].flatMap(([name, newest]): StoredFacts[] => {
    const storing = whole.filter(plan => plan.store.includes(name));
    const often = storing.toSorted((a, b) => (a.intervalMs ?? Infinity) - (b.intervalMs ?? Infinity))[0];
    if (!often) return [];
    const plans = storing.map(plan => plan.name);
    return [
      { name, plan: often.name, intervalMs: often.intervalMs, newest: newest.get(database) ?? null, plans },
    ];
  });
  for (const each of judgeNewest({ database, now: new Date(), rpoMs: objectives.rpoMs, repositories }))
    findings.add(each);
  return findings.all;
}
