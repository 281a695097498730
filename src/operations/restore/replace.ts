import { TidemarkError } from '../../base/errors.ts';
import type { ArchiveEntry } from '../../postgres/archive/entry.ts';
import { entryName } from '../../postgres/archive/entryName.ts';
import { restorePlan } from '../../postgres/archive/passes.ts';
import { loadsViaPartitionRoot } from '../../postgres/archive/planStep.ts';
import { quoteQualified } from '../../postgres/archive/quote.ts';
import { isLargeObjectEntry, isRowsAlone, type Selected } from '../../postgres/archive/select.ts';
import { largeObjectsOf } from '../../postgres/archive/statements.ts';
import { PostgresError } from '../../postgres/postgresError.ts';
import { emptyLargeObjects, existingLargeObjects } from '../../restore/database/largeObjects.ts';
import { mayHoldSecret } from '../../restore/secrets.ts';
import { onOneLine } from '../../restore/superuser.ts';
import type { Division } from '../../restore/table/existing.ts';
import {
  cascadeVictims,
  holdersOfLargeObjects,
  lostDependents,
  staleViews,
} from '../../restore/table/lost.ts';
import { Surroundings } from '../../restore/table/surroundings.ts';
import type { EntryRun } from './entryRun.ts';
import { type RestoredTable, type RestoreRequest, tell } from './request.ts';
import { setSequences } from './sequences.ts';

/** The entries of one table restore, in the order in which they are carried out. */
interface Steps {
  preData: ArchiveEntry[];
  data: ArchiveEntry[];
  largeObjects: ArchiveEntry[];
  postData: ArchiveEntry[];
  /** Last: what is said about large objects, grants, then what runs code of users: matviews. */
  after: ArchiveEntry[];
  sequences: ArchiveEntry[];
}

/** Replaces the rows of tables that are there and creates those that are missing, in a transaction that is open. */
export class ReplaceRun {
  readonly #request: RestoreRequest;
  readonly #selected: Selected;
  readonly #division: Division;
  readonly #run: EntryRun;

  constructor(request: RestoreRequest, selected: Selected, division: Division, run: EntryRun) {
    this.#request = request;
    this.#selected = selected;
    this.#division = division;
    this.#run = run;
  }

  async run(): Promise<RestoredTable[]> {
    const { reporter } = this.#request;
    const { created, kept, replaced } = this.#division;
    for (const entry of kept) this.#run.keep(entry);
    this.#noteNeeded();
    const steps = this.#steps();
    await this.#run.create(steps.preData);
    const roots = await this.#requireWholeTrees();
    const surroundings = await Surroundings.standAside(this.#run.target, replaced, roots);
    await this.#createLargeObjects(steps.largeObjects);
    const tables = await this.#loadAll(steps.data);
    await this.#run.create(steps.postData);
    await surroundings.bringBack();
    for (const key of surroundings.unchecked)
      reporter.note(`${key} is disabled in the database, and stays so: the rows were not checked against it`);
    await this.#createKeys();
    // A materialized view reads what its owner may see.
    await this.#run.target.run('SET LOCAL row_security = on');
    await this.#run.create(steps.after);
    await this.#run.target.run('SET LOCAL row_security = off');
    if (this.#request.target.kind === 'inPlace' && created.size > 0) await this.#bringBackLost();
    await this.#run.target.session.run('SET CONSTRAINTS ALL IMMEDIATE');
    await this.#noteCascades();
    this.#noteLeft();
    this.#run.noteKept();
    await setSequences(this.#request, this.#run, this.#division, steps.sequences);
    return tables;
  }

  #steps(): Steps {
    const { archive } = this.#request.snapshot;
    const { entries, created, existing } = this.#division;
    const plan = restorePlan(archive, new Set(entries.map(entry => entry.dumpId)));
    const data = plan.data.map(step => step.entry);
    const isSequence = (entry: ArchiveEntry) => entry.desc === 'SEQUENCE SET';
    const largeObjects = plan.preData.filter(isLargeObjectEntry);
    const isLarge = ({ desc }: ArchiveEntry) => desc === 'BLOB' || desc === 'BLOB METADATA';
    // What is attached to a table that is there gets that one's indexes then: its own have to be there before.
    const isLate = ({ desc, dependencies: [part = -1, whole = -1] }: ArchiveEntry) =>
      desc === 'TABLE ATTACH' && created.has(part) && existing.has(whole);
    const postData = plan.postData.map(step => step.entry);
    const isOwn = ({ desc }: ArchiveEntry) => desc === 'INDEX' || desc === 'CONSTRAINT';
    return {
      preData: plan.preData.filter(entry => !isLate(entry) && !isLargeObjectEntry(entry)),
      data: data.filter(entry => !isSequence(entry)),
      largeObjects: largeObjects.filter(isLarge),
      postData: [
        ...postData.filter(isOwn),
        ...plan.preData.filter(isLate),
        ...postData.filter(entry => !isOwn(entry)),
      ],
      after: [...largeObjects.filter(entry => !isLarge(entry)), ...plan.acl, ...plan.postAcl],
      sequences: data.filter(isSequence),
    };
  }

  /** What comes only because something else needs it is named, since it has no rows. */
  #noteNeeded(): void {
    const { entries, created } = this.#division;
    const loaded = new Set(
      entries.filter(entry => entry.desc === 'TABLE DATA').map(entry => entry.dependencies[0]),
    );
    for (const entry of entries) {
      const isTable = entry.desc === 'TABLE' || entry.desc === 'FOREIGN TABLE';
      if (!isTable || !created.has(entry.dumpId) || this.#selected.named.has(entry.dumpId)) continue;
      const rows = loaded.has(entry.dumpId) ? 'with its rows' : 'without rows';
      this.#request.reporter.note(
        `${entryName(entry)} was missing and is created ${rows}, because what is restored needs it`,
      );
    }
  }

  /** Rows that go in through a partitioned table may land in any partition: each must be among those that are emptied. */
  async #requireWholeTrees(): Promise<string[]> {
    const { target } = this.#run;
    const { entries, replaced } = this.#division;
    const roots = new Set<string>();
    for (const entry of entries) {
      if (entry.desc !== 'TABLE DATA' || !loadsViaPartitionRoot(entry)) continue;
      roots.add(entry.defn!.replace('-- load via partition root ', '').trim());
    }
    const hexes = [...roots].map(root => target.hexOfSql(root));
    const [row] = await target.session.query(OTHER_PARTITIONS, [
      hexes,
      target.hexOf([...replaced, ...entries.filter(entry => entry.desc === 'TABLE DATA')]),
      target.encoding,
    ]);
    if (row?.other) {
      throw new TidemarkError(
        'PARTITION_NEEDS_TREE',
        `rows can only be loaded through ${[...roots].join(', ')}, and may land in ${target.readOwn(row.other)}, which is not restored`,
        'select the whole table, or restore into a new database: --new NAME; the database is as it was before',
      );
    }
    return hexes;
  }

  async #loadAll(data: readonly ArchiveEntry[]): Promise<RestoredTable[]> {
    const tables: RestoredTable[] = [];
    for (const entry of data) {
      if (entry.desc === 'TABLE DATA') {
        await this.#requireEmpty(entry);
        const rows = await this.#run.load(entry);
        tables.push({ name: `${entry.namespace}.${entry.tag}`, rows });
      } else if (entry.desc === 'BLOBS') await this.#run.load(entry);
      else await this.#run.create([entry]);
    }
    return tables;
  }

  /** Rows replace rows: nothing is loaded on top of others, whatever became of the statements that removed them. */
  async #requireEmpty(entry: ArchiveEntry): Promise<void> {
    const isExtensions = !this.#division.belongings.byId.has(entry.dependencies[0] ?? -1);
    if (isExtensions || loadsViaPartitionRoot(entry)) return;
    const name = quoteQualified(entry.namespace, entry.tag);
    const { rows } = await this.#run.target.run(`SELECT EXISTS (SELECT FROM ONLY ${name})`);
    if (rows[0]?.[0] === 'f') return;
    throw new TidemarkError(
      'TABLE_NOT_EMPTY',
      `table ${name} has rows that could not be removed before those of the snapshot are loaded`,
      'the database is as it was before; restore it beside with --as NAME',
      { kind: 'fault' },
    );
  }

  /** Large objects that are there lose their bytes, others are created; their owners and privileges alike. */
  async #createLargeObjects(entries: readonly ArchiveEntry[]): Promise<void> {
    const { session } = this.#run.target;
    const oids = entries.flatMap(largeObjectsOf);
    if (oids.length === 0) return;
    const present = await existingLargeObjects(session, oids);
    await emptyLargeObjects(session, [...present]);
    for (const entry of entries) {
      const missing = largeObjectsOf(entry).filter(oid => !present.has(oid));
      if (missing.length === 0) continue;
      const defn = entry.desc === 'BLOB' ? entry.defn : missing.map(oid => `${oid}\n`).join('');
      await this.#run.create([{ ...entry, defn }]);
    }
    if (present.size > 0)
      this.#request.reporter.note(
        `${present.size} large objects are there already: their bytes are replaced`,
      );
  }

  /** Foreign keys of tables that are created, and of others to them, as far as the rows allow. */
  async #createKeys(): Promise<void> {
    const { foreignKeys, keysWithoutTable, created, belongings } = this.#division;
    const { target, only, reporter } = this.#request;
    if (only === 'data') return;
    for (const key of keysWithoutTable) {
      const own = belongings.wholeOf(key);
      const other = belongings.relationsOf(key).find(table => table !== own && !this.#isThere(table));
      const name = other ? quoteQualified(other.namespace, other.tag) : 'another table';
      const reason = `${name} is not there; ${this.#statementOf(key)}`;
      tell(this.#request, [{ kind: 'leftOut', entry: key, reason }]);
    }
    for (const key of foreignKeys) {
      const own = belongings.wholeOf(key);
      const isOwn = own !== undefined && created.has(own.dumpId);
      if (!isOwn && target.kind !== 'inPlace') {
        await this.#noteOther(key, own);
        continue;
      }
      const result = await this.#run.tryOut(key);
      if (result instanceof PostgresError) this.#noteMissing(key, result);
      else if (result === 'done' && !isOwn) reporter.note(`${entryName(key)} was missing and is made again`);
      if (result === 'done') await this.#run.create(this.#remarksOf(key));
    }
  }

  /** In another database than the snapshot's, a table that was not named keeps what it has. */
  async #noteOther(key: ArchiveEntry, own: ArchiveEntry | undefined): Promise<void> {
    if (own === undefined) return;
    const { target } = this.#run;
    const name = target.hexOfSql(key.tag.slice(own.tag.length + 1));
    const [found] = await target.session.query(KEY, [...target.hexOf([own]), name, target.encoding]);
    if (found !== undefined) return;
    const statement = this.#run.statementsOf(key).map(onOneLine).join(' ');
    this.#request.reporter.note(
      `${entryName(key)} is not there, and its table was not named: its statement: ${statement}`,
    );
  }

  #remarksOf(key: ArchiveEntry): ArchiveEntry[] {
    const { entries } = this.#request.snapshot.archive;
    return entries.filter(entry => entry.desc === 'COMMENT' && entry.dependencies.includes(key.dumpId));
  }

  #isThere({ dumpId }: ArchiveEntry): boolean {
    return this.#division.existing.has(dumpId) || this.#division.created.has(dumpId);
  }

  #noteMissing(entry: ArchiveEntry, error: PostgresError): void {
    const secret = mayHoldSecret(entry);
    const reason = `${error.said({ secret })}; ${this.#statementOf(entry)}`;
    tell(this.#request, [{ kind: 'refused', entry, reason }]);
  }

  #statementOf(entry: ArchiveEntry): string {
    if (mayHoldSecret(entry)) return "'tidemark export' has its statement";
    return `its statement: ${this.#run.statementsOf(entry).map(onOneLine).join(' ')}`;
  }

  /** What went with the tables that were missing (DROP … CASCADE) comes back with them, or is named. */
  async #bringBackLost(): Promise<void> {
    const { archive } = this.#request.snapshot;
    const { reporter } = this.#request;
    for (const { entry, family, on, isNamedOnly } of lostDependents(
      archive,
      this.#division,
      new Set(this.#selected.entries),
      this.#run.made,
    )) {
      if (isNamedOnly) {
        const name = quoteQualified(entry.namespace, entry.tag);
        reporter.note(
          `${entryName(entry)} depends on ${on.tag} and is missing: restore it with --table '${name}'`,
        );
        continue;
      }
      const result = await this.#run.tryOut(entry);
      if (result === 'present') continue;
      if (result instanceof PostgresError) this.#noteMissing(entry, result);
      else {
        reporter.note(`${entryName(entry)} depends on ${on.tag} and was missing: it is made again`);
        await this.#run.create(family);
      }
    }
  }

  /** Rows that went with those of the restored tables are not among the restored ones. */
  async #noteCascades(): Promise<void> {
    const victims = cascadeVictims(this.#request.snapshot.archive, this.#division);
    const fewer: string[] = [];
    for (const entry of victims) {
      const stored = this.#run.rowsOf(entry);
      const name = quoteQualified(entry.namespace, entry.tag);
      const counted = await this.#run.target.run(
        `SELECT pg_catalog.count(*) FROM (SELECT FROM ONLY ${name} LIMIT ${stored}) counted`,
      );
      const found = Number(counted.rows[0]?.[0]);
      if (found < stored) fewer.push(`${name} has ${found} rows, the snapshot ${stored}`);
    }
    if (fewer.length === 0) return;
    this.#request.reporter.note(
      `rows of other tables may have gone with those of the restored ones (ON DELETE CASCADE), and are not restored: ${fewer.join('; ')}; restore them from the same snapshot with --table`,
    );
  }

  /** What goes with the restored rows, and is left as it is because it was not named. */
  #noteLeft(): void {
    const { reporter, snapshot } = this.#request;
    const { archive } = snapshot;
    const names = (entries: ArchiveEntry[]) =>
      entries.map(entry => quoteQualified(entry.namespace, entry.tag)).join(', ');
    const stale = staleViews(archive, this.#division);
    if (stale.length > 0) {
      reporter.note(
        `materialized views read restored tables and keep their rows of before: ${names(stale)}; REFRESH MATERIALIZED VIEW computes them anew`,
      );
    }
    const selected = new Set(this.#selected.entries);
    if (
      isRowsAlone(archive) &&
      archive.entries.some(each => each.desc === 'SEQUENCE SET' && !selected.has(each))
    )
      reporter.note(
        'the snapshot holds rows alone, which do not say whose its sequences are: those that were not named with --table stay as they are',
      );
    const takesObjects = this.#division.entries.some(entry => entry.desc === 'BLOBS');
    if (snapshot.manifest.source.largeObjects === 0 || takesObjects) return;
    const holders = holdersOfLargeObjects(archive, this.#division.entries);
    if (holders.length > 0) {
      reporter.note(
        `large objects are not part of a table and are left as they are: rows of ${names(holders)} may name some; they come with a whole restore or with --data-only`,
      );
    }
  }
}

/**
 * The first table with rows that lies below one of $1 (schema-qualified, as hex of bytes in the encoding $3) and is not
 * among $2.
 */
const OTHER_PARTITIONS = `select pg_catalog.encode(pg_catalog.convert_to(tree.relid::pg_catalog.regclass::pg_catalog.text, pg_catalog.getdatabaseencoding()), 'hex') as other
 from pg_catalog.unnest($1::pg_catalog.text[]) as n(name)
 cross join lateral pg_catalog.pg_partition_tree(pg_catalog.to_regclass(pg_catalog.convert_from(pg_catalog.decode(n.name, 'hex'), $3::pg_catalog.name))) as tree
 where tree.isleaf and tree.relid <> all (
   select pg_catalog.to_regclass(pg_catalog.convert_from(pg_catalog.decode(given.name, 'hex'), $3::pg_catalog.name)) from pg_catalog.unnest($2::pg_catalog.text[]) as given(name)
   where pg_catalog.to_regclass(pg_catalog.convert_from(pg_catalog.decode(given.name, 'hex'), $3::pg_catalog.name)) is not null)
 limit 1`;

/** A foreign key of the table $1 with the name $2, both as hex of bytes in the encoding $3. */
const KEY = `select from pg_catalog.pg_constraint
 where contype operator(pg_catalog.=) 'f'
   and conrelid operator(pg_catalog.=) pg_catalog.to_regclass(pg_catalog.convert_from(pg_catalog.decode($1, 'hex'), $3::pg_catalog.name))
   and conname operator(pg_catalog.=) pg_catalog.convert_from(pg_catalog.decode($2, 'hex'), $3::pg_catalog.name)::pg_catalog.name`;
