import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Server } from '../../src/postgres/server/throwaway.ts';
import type { Command } from '../measure.ts';

export type ToolName = 'tidemark' | 'pg_dump | zstd' | 'pg_dump -Fd' | 'restic' | `tidemark ${string}`;

/** A database to back up. */
export interface Source {
  server: Server;
  database: string;
}

/** Somewhere a tool keeps its backups of one database, empty at first, and the commands to work with it. */
export interface Place {
  backup: Command;
  /** Into a database that is not there yet. */
  restore?(database: string): Command;
  verify?: Command;
  storedBytes(): Promise<number>;
}

/** A program that backs up, ours or a peer. */
export interface Tool {
  readonly name: ToolName;
  /** What it needs on this machine and doesn't find. */
  readonly missing: string | undefined;
  /** Works that it is measured at, besides the first backup. */
  readonly incremental: boolean;
  prepare(folder: string, source: Source): Promise<Place>;
}

/** Of the programs, the first that is not installed. */
export function missingProgram(...programs: string[]): string | undefined {
  return programs.find(program => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
}

/** libpq's variables for the database. */
export function libpqEnvironment({ server, database }: Source): Record<string, string> {
  return {
    PGHOST: server.socketDir,
    PGPORT: String(server.port),
    PGUSER: server.superuser,
    PGDATABASE: database,
  };
}

export function folderBytes(folder: string): number {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
