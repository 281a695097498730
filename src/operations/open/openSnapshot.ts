import { asTidemarkError, type TidemarkError } from '../../base/errors.ts';
import type { Globals } from '../../capture/logical/globals.ts';
import type { Archive } from '../../postgres/archive/entry.ts';
import { parseArchive } from '../../postgres/archive/parse.ts';
import { SnapshotReader } from '../../repository/read/reader.ts';
import type { Repository } from '../../repository/repository.ts';
import { type LogicalManifest, logicalManifest } from '../../restore/manifest.ts';
import { readStoredParts, type StoredPart } from '../../restore/parts.ts';

/** A snapshot opened for reading: what it says about itself, read and checked; its rows are still where they are. */
export interface OpenSnapshot {
  repository: Repository;
  manifest: LogicalManifest;
  reader: SnapshotReader;
  archiveBytes: Buffer;
  archive: Archive;
  /** None where `rolesFault` says why they can't be read. */
  globals: Globals;
  rolesFault: TidemarkError | null;
  parts: StoredPart[];
}

const NO_ROLES: Globals = { roles: [], memberships: [], parameterPrivileges: [], passwords: false };

/**
 * @param name its manifest's.
 * @param options `withoutRoles`: roles that are damaged keep nobody from the rest; else they are an error.
 */
export async function openSnapshot(
  repository: Repository,
  name: string,
  options: { withoutRoles?: boolean } = {},
): Promise<OpenSnapshot> {
  const manifest = logicalManifest(await repository.manifest(name));
  const id = manifest.snapshot;
  const reader = new SnapshotReader(repository.storage, repository.keys, manifest, { verifyIds: true });
  const { streams } = manifest;
  const archiveBytes = await reader.whole(streams.archive, `the table of contents of snapshot ${id}`);
  let globals = NO_ROLES;
  let rolesFault: TidemarkError | null = null;
  try {
    const bytes = await reader.whole(streams.globals, `the roles of snapshot ${id}`);
    globals = JSON.parse(bytes.toString('utf8')) as Globals;
  } catch (error) {
    const fault = asTidemarkError(error);
    if (!options.withoutRoles || fault.kind !== 'fault') throw error;
    rolesFault = fault;
  }
  return {
    repository,
    manifest,
    reader,
    archiveBytes,
    archive: parseArchive(archiveBytes).archive,
    globals,
    rolesFault,
    parts: await readStoredParts(reader, manifest),
  };
}
