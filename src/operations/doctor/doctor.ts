import { asTidemarkError } from '../../base/errors.ts';
import type { Reporter } from '../../base/progress.ts';
import { openStorage } from '../../storage/index.ts';
import { kindOf, locationOf } from '../../storage/kinds.ts';
import type { Storage } from '../../storage/storage.ts';
import { Measure } from '../../storage/wrap/measure.ts';
import type { Strategy } from '../../strategy/spec.ts';
import { repositoryOf, storagePlace } from '../open/open.ts';
import { CONDITIONAL_LAWS, type LawResult, tryLaws } from './laws.ts';
import { measureSpeed, type Speed } from './speed.ts';
import { Traces } from './traces.ts';

export interface Examination {
  laws: LawResult[];
  /** Of two that write the same object at once, one wins: what leases rely on. */
  conditionalWrites: boolean;
  /** Null where it doesn't say where it lies. */
  region: string | null;
  /** Its clock minus this machine's; as coarse as its clock. */
  clockOffsetMs: number;
  /** Objects can be locked against being removed. */
  locks: boolean;
  /** There are classes whose objects must be thawed, and it thaws them. */
  thaw: boolean;
  speed: Speed;
  /** How the contract is kept where the storage lacks something. */
  remarks: readonly string[];
  /** What could not be removed again. */
  left: string[];
}

export interface DoctorResult extends Examination {
  /** Every law is kept, and nothing was left behind. */
  ok: boolean;
  repository: string;
  place: string;
  kind: string;
  /** That data may be stored in; none where there are no classes. */
  classes: string[];
  /** Attempts that failed for the moment and were repeated. */
  repeated: number;
  /** By method; every attempt counts. */
  requests: Record<string, number>;
  seconds: number;
}

export interface DoctorRequest {
  strategy: Strategy;
  repository: string;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * Tries everything that backups rely on on a repository's own storage: beside the repository's objects, of which none is
 * touched or needed, and which needs no key. What was written is removed.
 */
export async function examineStorage(request: DoctorRequest): Promise<DoctorResult> {
  const { strategy, repository, reporter, signal } = request;
  const spec = repositoryOf(strategy, repository);
  const { connections } = storagePlace(spec).limits ?? {};
  const measure = new Measure();
  let repeated = 0;
  const waiting = () => {
    repeated++;
  };
  // What a limit leaves of the speed says nothing about the storage.
  const place = { spec: spec.storage, limits: { connections } };
  const open = () => openStorage(place, { measure, signal, retry: { waiting } });
  const started = performance.now();
  const found = await examine(open, reporter, signal);
  return {
    ok: found.laws.every(each => each.ok) && found.left.length === 0,
    repository,
    place: locationOf(spec.storage),
    kind: spec.storage.kind,
    classes: Object.keys(kindOf(spec.storage).classes),
    ...found,
    repeated,
    requests: Object.fromEntries(measure.calls),
    seconds: (performance.now() - started) / 1000,
  };
}

/** @param open gives a handle on the same objects each time. */
export async function examine(
  open: () => Promise<Storage>,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<Examination> {
  const traces = new Traces();
  const storage = await open();
  try {
    const clockOffsetMs = await clockOffset(storage);
    await traces.adopt(storage, new Date(Date.now() + clockOffsetMs));
    const { region, remarks } = await whereItLies(storage);
    const laws: LawResult[] = [];
    reporter.begin('trying the laws of storages', null);
    for await (const result of tryLaws(async place => traces.within(await open(), place))) {
      laws.push(result);
      signal.throwIfAborted();
    }
    reporter.begin('measuring its speed', null);
    const speed = await measureSpeed(traces.within(storage, 'speed'));
    reporter.begin('removing what was written', null);
    const left = await traces.remove(storage);
    return {
      laws,
      conditionalWrites: CONDITIONAL_LAWS.every(law => laws.some(each => each.law === law && each.ok)),
      region,
      clockOffsetMs,
      locks: storage.locks !== undefined,
      thaw: storage.freezer !== undefined,
      speed,
      remarks: [...remarks, ...((await storage.remarks?.()) ?? [])],
      left,
    };
  } catch (error) {
    const left = await traces.remove(storage).catch(() => ['all']);
    if (left.length > 0)
      reporter.note(`left behind, to be removed by hand: ${traces.prefix} in ${storage.place}`);
    throw error;
  } finally {
    reporter.end();
    await storage.close();
  }
}

/** Also the first call: where nothing can be done at all, it fails with the reason. */
async function clockOffset(storage: Storage): Promise<number> {
  const before = Date.now();
  const there = await storage.now();
  return Math.round(there.getTime() - (before + Date.now()) / 2);
}

/** Not everyone who may use a storage may ask where it is. */
async function whereItLies(storage: Storage): Promise<{ region: string | null; remarks: string[] }> {
  try {
    return { region: (await storage.region?.()) ?? null, remarks: [] };
  } catch (error) {
    return { region: null, remarks: [`where it lies can't be asked: ${asTidemarkError(error).message}`] };
  }
}
