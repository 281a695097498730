import { invariant } from '../../base/errors.ts';
import type { UsedPack } from '../format/chunkList.ts';
import { packName } from '../format/packName.ts';
import { epochOf } from '../keys/keys.ts';
import type { Manifest } from '../manifest.ts';
import type { WrittenStream } from './chunkWriter.ts';

/** The session that has written a snapshot's streams, all its packs stored. */
export interface OwnPacks {
  session: string;
  salt: Buffer;
  epoch: number;
  /** Stored size by number. */
  sizes: ReadonlyMap<number, number>;
  /** Bytes before compression by number; absent where the streams use all that was stored. */
  plainBytes?: ReadonlyMap<number, number>;
}

type Written = Pick<WrittenStream, 'packs' | 'listBytes'>;

/**
 * Sessions and packs that a new manifest refers to, and how much of them it uses.
 *
 * @param previous where its streams found chunks that were stored before.
 */
export function packTable(
  own: OwnPacks,
  written: readonly Written[],
  previous: readonly Pick<Manifest, 'sessions' | 'epochs' | 'packs' | 'usage'>[],
): Pick<Manifest, 'sessions' | 'epochs' | 'packs' | 'usage'> {
  const known = new Map<string, { sizeBytes: number; plainBytes: number }>();
  for (const { packs, usage } of previous) {
    for (const [i, [session, number, sizeBytes]] of packs.entries()) {
      const name = packName(session, number);
      const plainBytes = Math.max(usage?.packs[i]?.[1] ?? 0, known.get(name)?.plainBytes ?? 0);
      known.set(name, { sizeBytes, plainBytes });
    }
  }
  const used = sumByPack(written);
  const packs: Manifest['packs'] = [];
  const usage: [number, number][] = [];
  for (const [name, [session, number, usedBytes]] of [...used].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const mine = session === own.session ? own.sizes.get(number) : undefined;
    const { sizeBytes, plainBytes } =
      mine === undefined
        ? (known.get(name) ?? {})
        : { sizeBytes: mine, plainBytes: own.plainBytes?.get(number) ?? usedBytes };
    invariant(
      sizeBytes !== undefined && plainBytes !== undefined,
      `pack ${name} is referred to but was not stored`,
    );
    packs.push([session, number, sizeBytes]);
    usage.push([plainBytes === 0 ? usedBytes : Math.min(usedBytes, plainBytes), plainBytes]);
  }
  const tableOf = (id: string) => previous.find(each => id in each.sessions)!;
  const sessions = Object.fromEntries(
    [...new Set(packs.map(([session]) => session))].map(id => [
      id,
      id === own.session ? own.salt.toString('hex') : tableOf(id).sessions[id]!,
    ]),
  );
  return {
    sessions,
    ...epochsOf(Object.keys(sessions), id => (id === own.session ? own.epoch : epochOf(tableOf(id), id))),
    packs,
    usage: { listBytes: written.reduce((sum, { listBytes }) => sum + listBytes, 0), packs: usage },
  };
}

/** Of sessions whose epoch is not 0, where there are any. */
function epochsOf(sessions: string[], of: (session: string) => number): Pick<Manifest, 'epochs'> {
  const later = sessions.filter(id => of(id) > 0);
  return later.length === 0 ? {} : { epochs: Object.fromEntries(later.map(id => [id, of(id)])) };
}

/** By name. */
function sumByPack(written: readonly Written[]): Map<string, UsedPack> {
  const used = new Map<string, UsedPack>();
  for (const stream of written) {
    for (const [session, number, usedBytes] of stream.packs) {
      const name = packName(session, number);
      const known = used.get(name);
      if (known) known[2] += usedBytes;
      else used.set(name, [session, number, usedBytes]);
    }
  }
  return used;
}
