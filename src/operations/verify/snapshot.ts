import { asTidemarkError, faultError, type TidemarkError } from '../../base/errors.ts';
import type { Archive, ArchiveEntry } from '../../postgres/archive/entry.ts';
import { largeObjectBatches } from '../../postgres/archive/largeObjects.ts';
import { parseArchive } from '../../postgres/archive/parse.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import type { CheckPlan } from '../../repository/check/checkPlan.ts';
import { type Manifest, manifestName } from '../../repository/manifest.ts';
import { SnapshotReader } from '../../repository/read/reader.ts';
import type { Repository } from '../../repository/repository.ts';
import { type LogicalManifest, logicalManifest } from '../../restore/manifest.ts';
import { readStoredParts, type StoredPart } from '../../restore/parts.ts';
import { type Lost, lostOf, nameOfPart, STREAM_NAMES } from './lost.ts';

type Fault = Pick<TidemarkError, 'code' | 'message' | 'hint'>;
export type ReportFault = (fault: Fault, tables: string[]) => void;

const HINT = 'restore another snapshot, and report this: no tidemark writes that';
const STREAMS = ['archive', 'globals', 'parts'] as const;

interface CheckedPart {
  name: string;
  kind: StoredPart['kind'];
  rows: number;
  bytes: number;
  /** Its stream in the plan. */
  stream: number;
}

/** A snapshot that is being verified: what it claims, to be held against what is found. */
export class SnapshotCheck {
  /** Of its manifest. */
  readonly name: string;
  readonly database: string;
  readonly counts: Record<string, number>;
  bytesRead = 0;
  readonly #report: ReportFault;
  /** In the order of `STREAMS`. */
  readonly #streams: number[] = [];
  /** Names of those that could not be read. */
  readonly #unread = new Set<string>();
  /** Tables with rows by the table of contents, where the list of parts can't be read. */
  #listed: string[] = [];
  readonly #parts: CheckedPart[] = [];
  /** What the archive has entries for; null where it or the list of parts can't be read. */
  #entries: { tables: number; largeObjects: number } | null = null;

  private constructor(manifest: LogicalManifest, report: ReportFault) {
    this.name = manifestName(manifest);
    this.database = manifest.database;
    const { tables, rows, largeObjects } = manifest.source;
    const { parts, bytesRead, chunks } = manifest.counts;
    this.counts = { tables, rows, largeObjects, parts, bytesRead, chunks };
    this.#report = report;
  }

  /** Reads what the snapshot says of itself, and enters all its streams in the plan. */
  static async open(
    repository: Repository,
    said: Manifest,
    plan: CheckPlan,
    report: ReportFault,
  ): Promise<SnapshotCheck> {
    const manifest = logicalManifest(said);
    const check = new SnapshotCheck(manifest, report);
    const { streams } = manifest;
    plan.addSnapshot(manifest);
    for (const key of STREAMS)
      check.#streams.push(plan.addStream(streams[key], check.name, STREAM_NAMES[key]));
    const reader = new SnapshotReader(repository.storage, repository.keys, manifest, { verifyIds: true });
    const archive = await check.#read(STREAM_NAMES.archive, async () => {
      const bytes = await reader.whole(streams.archive, STREAM_NAMES.archive);
      const { archive, length } = parseArchive(bytes);
      if (length === bytes.length) return archive;
      throw faultError('ARCHIVE_INVALID', `${bytes.length - length} bytes follow it`, HINT);
    });
    await check.#read(STREAM_NAMES.globals, async () =>
      JSON.parse((await reader.whole(streams.globals, STREAM_NAMES.globals)).toString('utf8')),
    );
    const parts = await check.#read(STREAM_NAMES.parts, () => readStoredParts(reader, manifest));
    check.bytesRead += reader.bytesRead;
    for (const part of parts ?? []) {
      const { kind, rows, bytes } = part;
      const name = nameOfPart(part);
      check.#parts.push({ name, kind, rows, bytes, stream: plan.addStream(part, check.name, name) });
    }
    if (archive && !parts) check.#listed = rowEntries(archive).map(nameOfEntry);
    if (archive && parts) check.#pair(archive, parts, manifest.scope.schemaOnly);
    return check;
  }

  async #read<T>(what: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      const { code, message, hint } = asTidemarkError(error);
      const known = code === 'INTERNAL' ? 'STREAM_INVALID' : code;
      this.#unread.add(what);
      this.#fault(known, `${what} can't be read: ${message}`, [what], hint);
      return undefined;
    }
  }

  #fault(code: string, what: string, tables: string[], hint = HINT): void {
    this.#report({ code, message: `snapshots/${this.name}: ${what}`, hint }, tables);
  }

  /** Each table and batch of large objects that the archive has data of has its parts, and no part is nobody's. */
  #pair(archive: Archive, parts: StoredPart[], schemaOnly: boolean): void {
    const entries = rowEntries(archive);
    const batches = schemaOnly ? [] : largeObjectBatches(archive);
    this.#entries = {
      tables: entries.length,
      largeObjects: batches.reduce((sum, batch) => sum + batch.oids.length, 0),
    };
    const byOid = new Map<string, StoredPart[]>();
    const found = new Set<number>();
    for (const part of parts) {
      if (part.kind === 'rows') byOid.set(part.oid, [...(byOid.get(part.oid) ?? []), part]);
      else if (part.from >= batches.length || found.has(part.from)) this.#stray(part);
      else found.add(part.from);
    }
    if (found.size < batches.length)
      this.#fault('ROWS_MISSING', 'it holds too few large objects', ['large objects']);
    for (const entry of entries) {
      const mine = byOid.get(entry.oid) ?? [];
      byOid.delete(entry.oid);
      const name = nameOfEntry(entry);
      if (mine.length === 0) this.#fault('ROWS_MISSING', `it lists rows of ${name} but holds none`, [name]);
      else if (!contiguous(mine))
        this.#fault('ROWS_MISSING', `the parts of ${name} are not all of its pages once`, [name]);
    }
    for (const [part] of byOid.values()) this.#stray(part!);
  }

  #stray(part: StoredPart): void {
    const name = nameOfPart(part);
    this.#fault('PART_STRAY', `it holds ${name}, which its table of contents does not ask for`, [name]);
  }

  /** What can't be read of it, as far as its packs have been checked. */
  lost(plan: CheckPlan): Lost {
    const isLost = (stream: number) => !plan.streams[stream]!.whole;
    return lostOf({
      streams: STREAMS.filter((key, i) => this.#unread.has(STREAM_NAMES[key]) || isLost(this.#streams[i]!)),
      parts: this.#parts.map(({ name, kind, rows, stream }) => ({ name, kind, rows, lost: isLost(stream) })),
      listed: this.#listed,
    });
  }

  /** Holds what was counted against what the snapshot says. */
  judge(plan: CheckPlan): void {
    const sums = { parts: this.#parts.length, rows: 0, bytesRead: 0, chunks: 0 };
    for (const part of this.#parts) {
      const stream = plan.streams[part.stream]!;
      sums.chunks += stream.chunks;
      sums.bytesRead += part.bytes;
      if (part.kind === 'rows') sums.rows += part.rows;
      if (!stream.whole) continue; // reported where it was found
      if (stream.bytes !== part.bytes)
        this.#wrong('BYTES_WRONG', part, `${part.bytes} bytes`, `${stream.bytes}`);
      if (stream.lineEnds !== part.rows || !stream.ended)
        this.#wrong('ROWS_WRONG', part, `${part.rows} rows`, `${stream.lineEnds}`);
    }
    for (const index of this.#streams) {
      sums.chunks += plan.streams[index]!.chunks;
      sums.bytesRead += plan.streams[index]!.bytes;
    }
    if (!this.#entries || ![...this.#streams].every(index => plan.streams[index]!.whole)) return;
    if (this.#parts.some(part => !plan.streams[part.stream]!.whole)) return;
    const actual = { ...sums, ...this.#entries };
    for (const [name, count] of Object.entries(actual)) {
      const said = this.counts[name];
      if (said !== count)
        this.#fault('COUNTS_WRONG', `it says that it has ${name} ${said}, but it has ${count}`, []);
    }
  }

  #wrong(code: string, part: CheckedPart, said: string, found: string): void {
    this.#fault(code, `${said} of ${part.name} were written, ${found} are there`, [part.name]);
  }
}

const rowEntries = ({ entries }: Archive): ArchiveEntry[] =>
  entries.filter(entry => entry.desc === 'TABLE DATA');

const nameOfEntry = ({ namespace, tag }: ArchiveEntry): string => quoteQualified(namespace, tag);

/** Page ranges from 0 to the end, each where the one before ends. */
function contiguous(parts: StoredPart[]): boolean {
  const inOrder = [...parts].sort((a, b) => a.from - b.from);
  let next: number | null = 0;
  for (const { from, to } of inOrder) {
    if (from !== next) return false;
    next = to;
  }
  return next === null;
}
