/**
 * A database's schema as pg_dump says it: the header and table of contents of a custom-format archive, without data.
 * pg_dump writes them before the first data byte, so it is stopped there.
 */
import { invariant } from '../../base/errors.ts';
import type { Archive } from '../archive/entry.ts';
import { withoutInternalOptions } from '../archive/internalOptions.ts';
import { writeArchive } from '../archive/write.ts';
import type { ConnectionSettings } from '../settings/settings.ts';
import { readNativeHead } from './nativeHead.ts';
import { clientTooOld, type Environment, findPgDump, type PgDumpTool } from './tool.ts';
import { readWasmHead } from './wasmHead.ts';

export interface ArchiveRequest {
  settings: ConnectionSettings;
  /** The server's server_version_num, as 150020. */
  serverVersion: number;
  /** From pg_export_snapshot(), in a transaction that stays open meanwhile. */
  snapshot: string;
  /** Further options of pg_dump, as `--schema-only`. */
  args: string[];
  signal?: AbortSignal;
  /** If the caller has chosen one already; else findPgDump chooses. */
  tool?: PgDumpTool;
  /** Where to look for a pg_dump; the process's own environment if left out. */
  environment?: Environment;
}

export interface ArchiveHead {
  /** Header and table of contents, no data: byte for byte, but for what only this server knows (internalOptions.ts). */
  bytes: Buffer;
  archive: Archive;
  tool: PgDumpTool;
  /** What pg_dump warned of on stderr. */
  warnings: string[];
}

/**
 * Every object that pg_dump would dump under the snapshot. Nothing runs any more when this returns or throws. A failure
 * of pg_dump is a TidemarkError with what it said; an abort rejects with the signal's reason, or as INTERRUPTED
 * while connecting. No data is read, so a row security policy that would stop a full pg_dump does not stop this.
 */
export async function readArchiveHead(request: ArchiveRequest): Promise<ArchiveHead> {
  const { serverVersion, environment = process.env, signal } = request;
  signal?.throwIfAborted();
  invariant(serverVersion >= 100000, `server_version_num ${serverVersion}`);
  const serverMajor = Math.floor(serverVersion / 10000);
  const tool = request.tool ?? (await findPgDump(serverMajor, environment));
  if (tool.major < serverMajor) throw clientTooOld(serverMajor, [tool]);
  const options = pgDumpOptions(request);
  const read = { settings: request.settings, options, signal, tool };
  const head = await (tool.kind === 'wasm' ? readWasmHead(read) : readNativeHead({ ...read, environment }));
  return portable(head);
}

/** Without what another server would not take; else byte for byte as pg_dump wrote it. */
function portable(head: ArchiveHead): ArchiveHead {
  const archive = withoutInternalOptions(head.archive);
  return archive === head.archive ? head : { ...head, archive, bytes: writeArchive(archive) };
}

function pgDumpOptions(request: ArchiveRequest): string[] {
  return [
    '--format=custom',
    '--compress=0',
    '--create',
    '--no-password',
    '--no-sync',
    `--snapshot=${request.snapshot}`,
    ...request.args,
  ];
}
