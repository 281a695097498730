import { holdsOfAll, holdText, standing } from '../../operations/hold.ts';
import { databaseOf } from '../../operations/open.ts';
import { allSnapshots, type NewerSnapshot } from '../../operations/snapshots.ts';
import type { CliCommand } from '../command.ts';
import { formatBytes, formatCount, formatTime, table } from '../output.ts';

export const command: CliCommand = {
  name: 'list [database]',
  summary: 'list snapshots',
  define() {},
  async run({ output, strategy }, [database]) {
    const loaded = await strategy();
    if (database !== undefined) databaseOf(loaded, database as string);
    const newer: NewerSnapshot[] = [];
    const placed = (await allSnapshots(loaded, each => newer.push(each))).filter(
      each => database === undefined || each.manifest.database === database,
    );
    const holds = await holdsOfAll(placed);
    const snapshots = placed.map(({ repositoryName, repository, manifest }) => ({
      snapshot: manifest.snapshot,
      database: manifest.database,
      repository: repositoryName,
      plan: manifest.plan,
      kind: manifest.kind,
      started: manifest.started,
      finished: manifest.finished,
      tables: manifest.counts.tables,
      rows: manifest.counts.rows,
      bytesRead: manifest.counts.bytesRead,
      bytesAdded: manifest.counts.bytesAdded,
      holds: holds.get(repository)?.get(manifest.snapshot) ?? [],
    }));
    for (const { error } of newer.slice(0, 1)) {
      output.note(`${newer.length} newer snapshots are not listed: ${error.message} [${error.code}]`);
      output.note(`  ${error.hint}`);
    }
    const unreadable = newer.map(({ repositoryName, snapshot }) => ({
      snapshot,
      repository: repositoryName,
    }));
    output.result({ snapshots, ...(newer.length > 0 ? { unreadable } : {}) }, () => {
      if (snapshots.length === 0) return ['no snapshots yet; take one with: tidemark backup <database>'];
      const rows = snapshots.map(each => [
        each.snapshot,
        each.database,
        each.plan ?? '',
        each.repository,
        formatTime(each.finished),
        formatCount(each.tables),
        formatCount(each.rows),
        formatBytes(each.bytesRead),
        formatBytes(each.bytesAdded),
        standing(each.holds).map(holdText).join('; '),
      ]);
      const head = [
        'snapshot',
        'database',
        'plan',
        'repository',
        'finished',
        'tables',
        'rows',
        'read',
        'added',
        '',
      ];
      return table([head, ...rows], new Set([5, 6, 7, 8]));
    });
    return undefined;
  },
};
