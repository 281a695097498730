import type { TidemarkError } from '../../base/errors.ts';
import { foreign, OTHER_NAME } from '../../storage/object.ts';
import type { PassedOver, Storage } from '../../storage/storage.ts';

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

/** Whether what was passed over stands where a repository has an object or a folder: it hides that one. */
export function standsInPlace({ name, what }: PassedOver): boolean {
  return what !== OTHER_NAME && (isRepositoryObject(name) || isRepositoryFolder(name));
}

/**
 * Of a listing, what is an object of a repository.
 *
 * @param instead takes what else, a link or a FIFO, stands in the place of an object; absent: OBJECT_FOREIGN is thrown, since
 *   who passed over it would take the repository for one without that object.
 * @throws TidemarkError OBJECT_FOREIGN where it stands in the place of a folder.
 */
export async function* listOwn(
  storage: Storage,
  prefix: string,
  instead?: (name: string, fault: TidemarkError) => void,
): ReturnType<Storage['list']> {
  const passedOver = ({ name, what }: PassedOver) => {
    if (!standsInPlace({ name, what })) return;
    const fault = foreign(name, storage.place, what);
    if (!instead || !isRepositoryObject(name)) throw fault;
    instead(name, fault);
  };
  for await (const object of storage.list(prefix, passedOver))
    if (isRepositoryObject(object.name)) yield object;
}

/** The names of objects under a prefix, also of those in whose place something else stands: reading one says so. */
export async function listNames(storage: Storage, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of listOwn(storage, prefix, name => void names.push(name))) names.push(name);
  return names.sort();
}
