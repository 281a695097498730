import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { mock } from 'node:test';
import { Repository } from '../../src/repository/repository.ts';
import { LocalStorage, localKind } from '../../src/storage/local/storage.ts';
import { s3Kind } from '../../src/storage/s3/kind.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { loadStrategy } from '../../src/strategy/load.ts';
import type { Strategy } from '../../src/strategy/spec.ts';
import { CountingStorage, type Requests, WaitingTime } from './counting.ts';
import { placeChecks, SealedManifests } from './sealed.ts';
import { SimulatedStorage } from './storage.ts';
import { keyOf, makeSite, type Size, World } from './world.ts';

/** What one operation meets: the repositories `main`, of the size asked for, and `archive`, and what it asks of them. */
export interface Site {
  world: World;
  main: SimulatedStorage;
  requests: Record<'main' | 'archive', Requests>;
  time: WaitingTime;
  /** `local`: as folders, which worker threads can open; they see the real objects only. */
  strategy(options?: { local?: boolean; cache?: string }): Promise<Strategy>;
  end(): void;
}

export interface SiteOptions {
  /** A folder that is emptied. */
  folder: string;
  /** The file of sealed manifests, made where it is missing. */
  sealed: string;
  size: Size;
  /** `archive` lacks the newest so many of the world's snapshots; absent: all. */
  lacks?: number;
  locking?: boolean;
}

export async function openSite(options: SiteOptions): Promise<Site> {
  const { folder, sealed, size, lacks = size.snapshots, locking } = options;
  const world = new World(size);
  makeSite(folder, world);
  const repository = await Repository.open(new LocalStorage(join(folder, 'main')), {
    ...{ kind: 'key', text: keyOf(folder), where: 'the simulation' },
  });
  SealedManifests.make(sealed, world, repository);
  placeChecks(sealed, join(folder, 'main'));
  const manifests = new SealedManifests(sealed);
  const time = new WaitingTime();
  const main = new SimulatedStorage(join(folder, 'main'), world, manifests, world.size.snapshots, locking);
  const archive = new SimulatedStorage(join(folder, 'archive'), world, manifests, size.snapshots - lacks);
  const counted = { main: new CountingStorage(main, time), archive: new CountingStorage(archive, time) };
  const opening = openInstead(folder, counted);
  return {
    ...{ world, main, time },
    requests: { main: counted.main.requests, archive: counted.archive.requests },
    async strategy({ local = false, cache } = {}) {
      const file = join(folder, local ? 'local.yaml' : 'tidemark.yaml');
      return loadStrategy(file, cache === undefined ? {} : { XDG_CACHE_HOME: cache }, {
        secrets: 'optional',
      });
    },
    end() {
      for (const each of opening) each.mock.restore();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Whoever opens one of the repositories gets the simulated one. */
function openInstead(folder: string, counted: Record<string, Storage>) {
  const open = localKind.open;
  return [
    mock.method(s3Kind, 'open', async ({ prefix }: { prefix: string }) => counted[prefix]!),
    mock.method(
      localKind,
      'open',
      async (spec: Parameters<typeof open>[0]) =>
        counted[spec.path.slice(join(folder, '/').length)] ?? (await open(spec)),
    ),
  ];
}
