import { withoutInternalOptions } from '../archive/internalOptions.ts';
import { writeArchive } from '../archive/write.ts';
import type { Session } from '../session.ts';
import type { ArchiveHead, ArchiveRequest, PgDumpRequest } from './head.ts';
import { readNativeHead } from './nativeHead.ts';
import { Relay } from './relay.ts';
import { clientTooOld, findPgDump } from './tool.ts';
import { readWasmHead } from './wasmHead.ts';

/**
 * Every object that pg_dump would dump in the session's transaction, in the same bytes. Nothing runs any more when this
 * returns or throws, and the session is as it was, in its transaction, also where pg_dump failed: what it set is undone by
 * a savepoint, and prepared statements are gone, those of the caller too. A failure of pg_dump is a TidemarkError with what
 * it said; an abort rejects with the signal's reason, and where the server was at work then, the session has ended. No
 * data is read, so neither a row security policy nor a missing right to a table's rows stops this.
 */
export async function readArchiveHead(request: ArchiveRequest): Promise<ArchiveHead> {
  const { session, lockTimeoutMs } = request;
  const pgDump = await StartedPgDump.start(session, request);
  try {
    return await pgDump.read(session, lockTimeoutMs);
  } finally {
    await pgDump.end();
  }
}

/** A pg_dump that has been started and waits for its session, so that its start takes no time of a transaction. */
export class StartedPgDump {
  readonly #relay: Relay;
  readonly #head: Promise<ArchiveHead>;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal | undefined;

  /** For the server of this session. Whoever starts one ends it. */
  static async start(server: Session, request: PgDumpRequest): Promise<StartedPgDump> {
    const { environment = process.env, signal } = request;
    signal?.throwIfAborted();
    const tool = request.tool ?? (await findPgDump(server.serverMajor, environment));
    const older = tool.major < server.serverMajor;
    if (older && !request.older) throw clientTooOld(server.serverMajor, [tool]);
    const relay = new Relay(server.settings, older ? tool.version : null);
    return new StartedPgDump(relay, { ...request, environment, tool });
  }

  private constructor(
    relay: Relay,
    request: PgDumpRequest & Required<Pick<PgDumpRequest, 'environment' | 'tool'>>,
  ) {
    const { args, tool, environment, signal } = request;
    this.#signal = signal;
    this.#relay = relay;
    const either = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
    const head = { relay, options: [...OPTIONS, ...args], signal: either, tool };
    this.#head = tool.kind === 'wasm' ? readWasmHead(head) : readNativeHead({ ...head, environment });
    this.#head.catch(() => {}); // whoever reads hears of it
  }

  /** What `readArchiveHead` says. Once only. */
  async read(session: Session, lockTimeoutMs = 0): Promise<ArchiveHead> {
    await this.#relay.attach(session, lockTimeoutMs);
    try {
      return portable(await this.#head);
    } finally {
      await this.#relay.end(this.#signal?.aborted ?? false);
    }
  }

  /** Nothing of it runs afterwards. */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.#head.catch(() => {});
  }
}

/** Without what another server would not take; else byte for byte as pg_dump wrote it. */
function portable(head: ArchiveHead): ArchiveHead {
  const archive = withoutInternalOptions(head.archive);
  return archive === head.archive ? head : { ...head, archive, bytes: writeArchive(archive) };
}

const OPTIONS = ['--format=custom', '--compress=0', '--create', '--no-password', '--no-sync'];
