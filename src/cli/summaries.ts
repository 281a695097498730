/** One line about each command, known without loading it. */
export const SUMMARIES = {
  init: 'write a strategy file for a database, make its repository and key',
  check: 'validate the strategy; --online also connects',
  doctor: 'test a storage: writes, reads, listing, locks, speed',
  backup: 'capture a database into its repositories',
  list: 'list snapshots, and where each is',
  show: 'show what a snapshot holds',
  verify: 'read every byte back and check every seal, hash and count',
  restore: 'restore a database or tables from a snapshot',
  export: 'write a snapshot as stock psql and pg_restore read it',
  heal: 'bring damaged snapshots back from a repository that has them whole',
  repair: 'rebuild what is damaged in a repository, and name what is lost',
  copy: 'copy snapshots from one repository to another',
  thaw: 'order a snapshot’s frozen objects to be thawed, so that it can be read',
  hold: 'protect a snapshot from retention',
  release: 'end the holds of a snapshot, or one of them',
  forget: 'delete snapshots',
  prune: 'apply retention and free what no snapshot needs',
  lifecycle: 'print rules for the storage’s provider that fit the strategy',
  key: 'manage a repository’s key slots; print its recovery kit',
  demo: 'show the whole job on a throw-away PostgreSQL',
} as const;

/** What commands are for, as `--help` groups them. */
export const GROUPS: Readonly<Record<string, readonly (keyof typeof SUMMARIES)[]>> = {
  Protect: ['init', 'backup', 'copy', 'hold', 'release'],
  Recover: ['list', 'show', 'restore', 'export', 'thaw'],
  Prove: ['check', 'verify', 'demo'],
  Maintain: ['forget', 'prune', 'heal', 'repair', 'lifecycle', 'doctor'],
  Keys: ['key'],
};
