import type { Globals } from '../../capture/logical/globals.ts';
import type { Archive } from '../../postgres/archive/entry.ts';
import { parseArchive } from '../../postgres/archive/parse.ts';
import type { Manifest, PartRecord } from '../../repository/manifest.ts';
import { readParts } from '../../repository/parts.ts';
import { SnapshotReader } from '../../repository/reader.ts';
import type { Repository } from '../../repository/repository.ts';

/** A snapshot opened for reading: what it says about itself, read and checked; its rows are still where they are. */
export interface OpenSnapshot {
  repository: Repository;
  manifest: Manifest;
  reader: SnapshotReader;
  archiveBytes: Buffer;
  archive: Archive;
  globals: Globals;
  parts: PartRecord[];
}

/** @param name its manifest's. */
export async function openSnapshot(repository: Repository, name: string): Promise<OpenSnapshot> {
  const manifest = await repository.manifest(name);
  const id = manifest.snapshot;
  const reader = new SnapshotReader(repository.storage, repository.keys, manifest, { verifyIds: true });
  const { streams } = manifest;
  const archiveBytes = await reader.whole(streams.archive, `the table of contents of snapshot ${id}`);
  const globals = await reader.whole(streams.globals, `the roles of snapshot ${id}`);
  return {
    repository,
    manifest,
    reader,
    archiveBytes,
    archive: parseArchive(archiveBytes).archive,
    globals: JSON.parse(globals.toString('utf8')) as Globals,
    parts: await readParts(reader, manifest),
  };
}
