import { failureOf } from '../../base/errors.ts';
import { CLOCK_SLACK_MS, clockOffsetMs, clockWrong, isAhead } from '../../repository/clock.ts';
import { isRepositoryObject, standsInPlace } from '../../repository/format/objectNames.ts';
import { snapshotOf } from '../../repository/manifest.ts';
import { missingPacks, newestFirst, type PackSizes } from '../../repository/newest.ts';
import { PackChecks } from '../../repository/packs/packChecks.ts';
import { OTHER_NAME } from '../../storage/object.ts';
import type { PassedOver } from '../../storage/storage.ts';
import type { Strategy } from '../../strategy/spec.ts';
import type { StoredFacts } from '../../watch/newest.ts';
import { type Finding, Findings, nameSome } from '../finding.ts';
import type { OpenPlace } from '../open/open.ts';
import { isWhole, partOf } from '../open/wholeness.ts';

/** What is really in a repository, as far as can be said at little cost: nothing is called right that was not looked at. */

/** Manifests looked through in one repository for the newest of each database; what is older is too old anyhow. */
const MANIFESTS_MAX = 2000;
/** The same for databases that no plan stores there. */
const MANIFESTS_UNPLANNED_MAX = 50;
/** Snapshots of one database that are looked at, until one has all its packs. */
const DAMAGED_MAX = 5;
/** Entries looked at for what is none of ours. */
const ENTRIES_MAX = 100_000;

export interface StoredLook {
  /** By database: the newest whole snapshot that is all there. */
  newest: Map<string, StoredFacts['newest']>;
  findings: Finding[];
}

export async function lookAtStored(strategy: Strategy, place: OpenPlace): Promise<StoredLook> {
  const findings = new Findings(`repository ${place.name}`);
  const now = await lookAtClock(place, findings);
  const names = await place.repository.snapshotNames();
  const ahead = names.filter(name => isAhead(name, now));
  if (ahead.length > 0) {
    const message = `dated in the future, by a machine whose clock was wrong: ${nameSome(ahead.map(snapshotOf))}`;
    const hint =
      'none of them is taken for the latest, and no rule counts them until then; restore one by its id, or forget it: tidemark forget ID';
    findings.fault('dates', message, hint);
  }
  const dated = names.filter(name => !isAhead(name, now));
  const newest = await lookAtNewest(strategy, place, dated, findings);
  await lookAtNames(place, findings);
  return { newest, findings: findings.all };
}

/** The storage's time; this machine's where the storage tells none, as one that can only be read. */
async function lookAtClock({ repository: { storage } }: OpenPlace, findings: Findings): Promise<Date> {
  try {
    const offsetMs = await clockOffsetMs(storage);
    if (Math.abs(offsetMs) > CLOCK_SLACK_MS) findings.failure('clock', clockWrong(storage.place, offsetMs));
    return new Date(Date.now() - offsetMs);
  } catch (error) {
    findings.failure('clock', failureOf(error));
    return new Date();
  }
}

async function lookAtNewest(
  strategy: Strategy,
  { name: repository, repository: opened }: OpenPlace,
  names: readonly string[],
  findings: Findings,
): Promise<StoredLook['newest']> {
  const planned = new Set(
    [...strategy.plans.values()].filter(plan => plan.store.includes(repository)).map(plan => plan.database),
  );
  const unplanned = new Set([...strategy.databases.keys()].filter(database => !planned.has(database)));
  const newest: StoredLook['newest'] = new Map();
  const tried = new Map<string, number>();
  const unreadable: string[] = [];
  const checks = await PackChecks.read(opened);
  const sizes = new Map<string, PackSizes>();
  const damaged = (name: string) => void unreadable.push(`snapshots/${name}`);
  let looked = 0;
  for await (const manifest of newestFirst(opened, { names, damaged })) {
    const { database, plan, snapshot, started } = manifest;
    looked++;
    if ((planned.has(database) || unplanned.has(database)) && partOf(manifest) === null) {
      const missing = await missingPacks(opened, manifest, sizes);
      const fault = describeFaults(missing, checks.hurting(manifest).length);
      tried.set(database, (tried.get(database) ?? 0) + 1);
      if (fault)
        findings.fault(
          'packs',
          `${snapshot} of ${database} can't be restored whole: ${fault}`,
          damageHint(snapshot, repository),
        );
      else {
        findings.ok(
          'packs',
          `${snapshot}, the newest of ${database}: its ${manifest.packs.length} packs are there`,
        );
        if (isWhole(manifest)) newest.set(database, { snapshot, started: new Date(started), plan });
      }
      if (!fault || tried.get(database) === DAMAGED_MAX)
        for (const set of [planned, unplanned]) set.delete(database);
    }
    if (planned.size === 0 && (unplanned.size === 0 || looked >= MANIFESTS_UNPLANNED_MAX)) break;
    if (looked === MANIFESTS_MAX) break;
  }
  if (unreadable.length > 0) {
    const message = `manifests can't be opened: ${nameSome(unreadable)}`;
    const hint = `see what is wrong with them: tidemark list --repository ${repository}; then 'tidemark heal --all', or 'tidemark repair ${repository}'`;
    findings.fault('manifests', message, hint);
  }
  return newest;
}

function describeFaults(missing: readonly string[], damaged: number): string {
  const parts: string[] = [];
  if (missing.length > 0)
    parts.push(`${missing.length} packs are missing or have another size: ${nameSome(missing)}`);
  if (damaged > 0) parts.push(`verify found ${damaged} of its packs damaged`);
  return parts.join('; ');
}

function damageHint(snapshot: string, repository: string): string {
  return `see which tables that hurts: tidemark verify ${snapshot} --repository ${repository}; then 'tidemark heal --all', or 'tidemark repair ${repository}'`;
}

/** What lies in it and is no part of it. */
async function lookAtNames({ repository: { storage } }: OpenPlace, findings: Findings): Promise<void> {
  const foreign = new Map<string, string>();
  const instead = new Map<string, string>();
  const add = ({ name, what }: PassedOver) => {
    if (name === LOST_AND_FOUND) return;
    (standsInPlace({ name, what }) ? instead : foreign).set(name, what);
  };
  let left = ENTRIES_MAX;
  for await (const { name } of storage.list('', add)) {
    if (!isRepositoryObject(name)) add({ name, what: OTHER_NAME });
    if (--left === 0) break;
  }
  const told = (entries: Map<string, string>) =>
    nameSome(
      [...entries].map(([name, what]) => `${JSON.stringify(name)}${what === OTHER_NAME ? '' : ` (${what})`}`),
    );
  if (instead.size > 0) {
    const hint = 'tidemark follows no link in a repository: put back the object or folder itself';
    findings.fault('names', `in the place of objects there are others: ${told(instead)}`, hint);
  }
  if (foreign.size > 0) {
    const hint = 'they are passed over, and never removed; move them elsewhere if you need them';
    findings.warning('names', `it holds what tidemark has not made: ${told(foreign)}`, hint);
  }
}

/** Every ext4 file system has it. */
const LOST_AND_FOUND = 'lost+found';
