import type { Storage } from '../storage/storage.ts';

/** Which objects a repository is made of: docs/format.md, "Objects". */

const ID = String.raw`\d{8}-\d{9}-[0-9a-f]{8}`;
const MANIFEST = String.raw`${ID}(\.${ID})?`;
const SLOT = '[a-z0-9][a-z0-9-]{0,62}';

const OBJECT = new RegExp(
  `^(${[
    String.raw`repository\.json`,
    String.raw`keys/${SLOT}\.json`,
    String.raw`epochs/[1-9]\d{0,8}\.json`,
    String.raw`packs/${ID}/\d{8}`,
    `(snapshots|forgotten)/${MANIFEST}`,
    String.raw`revisions/${MANIFEST}/\d{8}`,
    String.raw`leases/(${ID}|prune|keys)/\d{6,15}`,
    'leases/check/[0-9a-f]{16}',
    `holds/${ID}/${ID}`,
    String.raw`unfinished/${ID}/\d{6,15}`,
    `(locked|condemned|checks|compactions)/${ID}`,
    'doctor/[0-9a-f]{16}/.+',
  ].join('|')})$`,
);

/** Whether a repository has objects of that name. One that hasn't is others': it is never read, counted or removed. */
export function isRepositoryObject(name: string): boolean {
  return OBJECT.test(name);
}

const FOLDER = new RegExp(
  `^(keys|epochs|forgotten|snapshots|locked|condemned|checks|compactions|((packs|leases|holds|unfinished)(/${ID})?|leases/(prune|keys|check)|revisions(/${MANIFEST})?))$`,
);

/** Whether a repository has a folder of that name. */
export function isRepositoryFolder(name: string): boolean {
  return FOLDER.test(name);
}

/** Of a listing, what is an object of a repository. */
export async function* listOwn(storage: Storage, prefix: string): ReturnType<Storage['list']> {
  for await (const object of storage.list(prefix)) if (isRepositoryObject(object.name)) yield object;
}
