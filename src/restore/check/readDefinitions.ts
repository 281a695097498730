import type { Archive } from '../../postgres/archive/entry.ts';
import { readArchiveHead } from '../../postgres/pgDump/archiveHead.ts';
import { clientTooOld, type PgDumpTool, pgDumpsAtHand } from '../../postgres/pgDump/tool.ts';
import { Session } from '../../postgres/session.ts';
import type { ConnectionSettings } from '../../postgres/settings/connectionSettings.ts';

export interface Definitions {
  archive: Archive;
  tool: PgDumpTool;
}

export interface ReadOptions {
  tool: PgDumpTool;
  /** In which the snapshot's definitions are. */
  encoding: string;
  signal: AbortSignal;
}

/** How long a lock of a catalog is waited for. */
const LOCK_WAIT_MS = 60_000;

/** A database's table of contents as a capture would read it, in a transaction of the session's that may have written. */
export async function readDefinitions(
  session: Session,
  { tool, encoding, signal }: ReadOptions,
): Promise<Definitions> {
  await session.run('SET LOCAL standard_conforming_strings = on');
  const { archive } = await readArchiveHead({
    ...{ session, signal, tool, lockTimeoutMs: LOCK_WAIT_MS },
    args: [`--encoding=${encoding}`],
    older: true,
  });
  return { archive, tool };
}

/** The same in a session and a transaction of its own. */
export async function readDatabase(settings: ConnectionSettings, options: ReadOptions): Promise<Definitions> {
  const session = await Session.open(settings, 'tidemark check', options.signal);
  try {
    await session.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return await readDefinitions(session, options);
  } finally {
    await session.close();
  }
}

/**
 * The pg_dump to read a target with: the one that the snapshot was captured with if it is here and can read that server,
 * since another may word the same thing in another way; else the one that a backup would take. Where all are older than the
 * server, the newest that is as new as the capture's: what was captured holds nothing that it does not know, and where it
 * can't read the server's catalogs it fails. CLIENT_TOO_OLD where there is none.
 *
 * @param captured `native 15.20` or `wasm 18.3`, as manifests have it.
 */
export async function pgDumpFor(captured: string, serverMajor: number): Promise<PgDumpTool> {
  const found = await pgDumpsAtHand(process.env);
  const version = captured.replace(/^\w+ /, '');
  const able = found.filter(tool => tool.major >= serverMajor);
  const older = found.filter(tool => tool.major >= Number.parseInt(version, 10));
  const best =
    able.find(tool => `${tool.kind} ${tool.version}` === captured) ??
    able.find(tool => tool.version === version) ??
    able[0] ??
    older.sort((a, b) => b.major - a.major)[0];
  if (best) return best;
  throw clientTooOld(serverMajor, found);
}
