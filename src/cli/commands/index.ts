import type { CliCommand, CliGroup } from '../command.ts';

/** Every command, loaded when it is asked for. */
export const COMMANDS: Record<string, () => Promise<CliCommand | CliGroup>> = {
  init: async () => (await import('./init.ts')).command,
  check: async () => (await import('./check.ts')).command,
  backup: async () => (await import('./backup.ts')).command,
  list: async () => (await import('./list.ts')).command,
  show: async () => (await import('./show.ts')).command,
  verify: async () => (await import('./verify.ts')).command,
  restore: async () => (await import('./restore.ts')).command,
  export: async () => (await import('./export.ts')).command,
  heal: async () => (await import('./heal.ts')).command,
  copy: async () => (await import('./copy.ts')).command,
  thaw: async () => (await import('./thaw.ts')).command,
  hold: async () => (await import('./hold.ts')).command,
  release: async () => (await import('./release.ts')).command,
  forget: async () => (await import('./forget.ts')).command,
  prune: async () => (await import('./prune.ts')).command,
  lifecycle: async () => (await import('./lifecycle.ts')).command,
  key: async () => (await import('./key.ts')).command,
  demo: async () => (await import('./demo.ts')).command,
};

export const SUMMARIES: Record<string, string> = {
  init: 'write a strategy file for a database, make its repository and key',
  check: 'validate the strategy; --online also connects',
  backup: 'capture a database into its repositories',
  list: 'list snapshots, and where each is',
  show: 'show what a snapshot holds',
  verify: 'read every byte back and check every seal, hash and count',
  restore: 'restore a database or tables from a snapshot',
  export: 'write a snapshot as stock psql and pg_restore read it',
  heal: 'bring damaged snapshots back from a repository that has them whole',
  copy: 'copy snapshots from one repository to another',
  thaw: 'order a snapshot’s frozen objects to be thawed',
  hold: 'keep a snapshot, whatever the rules say',
  release: 'end the holds of a snapshot, or one of them',
  forget: 'end a snapshot’s existence',
  prune: 'apply retention and free what no snapshot needs',
  lifecycle: 'print rules for the storage’s provider that fit the strategy',
  key: 'list, add, remove and rotate what opens a repository; print its recovery kit',
  demo: 'show the whole job on a throw-away PostgreSQL',
};
