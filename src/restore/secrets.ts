import type { ArchiveEntry } from '../postgres/archive/entry.ts';

/**
 * Objects whose definition may hold a secret: a setting's value, a connection string, a password among the options. Neither
 * their statements nor what the server says of them (which may repeat a value) is ever printed.
 */
const SECRETIVE = new Set([
  'DATABASE PROPERTIES',
  'SUBSCRIPTION',
  'SERVER',
  'USER MAPPING',
  'FOREIGN DATA WRAPPER',
  'FOREIGN TABLE',
]);

export function mayHoldSecret(entry: Pick<ArchiveEntry, 'desc'>): boolean {
  return SECRETIVE.has(entry.desc);
}
