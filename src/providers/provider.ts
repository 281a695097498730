/**
 * What a host of PostgreSQL permits: facts about it as data, each beside its reason.
 *
 * A provider is one file that exports one `Provider`, one line in index.ts, and one line in providers.test.ts, which
 * runs `provider.contract.ts` over it. It holds what can't be asked of the server, or only when it is too late (in the
 * middle of a restore). What the connected role may do is asked of the server itself, and wins over what is said here.
 */

export const CAPABILITIES = [
  /** A role with SUPERUSER can be had. */
  'superuser',
  /** BASE_BACKUP and physical replication slots: physical backups, and recovery to any moment. */
  'replicationProtocol',
  /** Logical replication slots. */
  'logicalDecoding',
  /** pg_authid can be read: the verifiers of passwords come along with the roles. */
  'rolePasswords',
  /** COMMENT ON EXTENSION, which pg_dump writes for every extension. */
  'extensionComments',
  /** CREATE EVENT TRIGGER. */
  'eventTriggers',
  /** CREATE DATABASE, which `restore --new` needs. */
  'createDatabase',
  /** CREATE TABLESPACE. */
  'tablespaces',
] as const;

export type CapabilityName = (typeof CAPABILITIES)[number];

/** Whether it is permitted there, and why. `depends`: on the role that connects, or on the plan that was bought. */
export interface Capability {
  granted: 'yes' | 'no' | 'depends';
  /** Lower case, without a full stop; may follow "since". */
  reason: string;
}

export const yes = (reason: string): Capability => ({ granted: 'yes', reason });
export const no = (reason: string): Capability => ({ granted: 'no', reason });
export const depends = (reason: string): Capability => ({ granted: 'depends', reason });

/** Where a connection goes, as far as it tells the provider. */
export interface Address {
  host: string;
  port: number;
  user: string;
}

/** What a server shows about who runs it, as far as providers ask for it. */
export interface ServerMarks {
  /** Of the names that providers list as `marks`, those that the server has. */
  settings: readonly string[];
  roles: readonly string[];
  schemas: readonly string[];
}

/** An address that leads to a pooler, or may. */
export interface PoolerWarning {
  /** What stands there. */
  pooler: string;
  /** Where to connect instead. */
  instead: string;
}

export interface Provider {
  /** camelCase, as its file is called. */
  id: string;
  /** As the provider writes it; follows "at". */
  name: string;
  /** Host names it gives to databases. Anchored at the end, so that nobody else's name can look like it. */
  hosts: readonly RegExp[];
  /**
   * What only its servers have: prefixes of settings (`rds` for `rds.extensions`) and schemas tell it for certain; roles
   * only where the connected role is no superuser, since a restore can bring roles anywhere.
   */
  marks: ServerMarks;
  capabilities: Readonly<Record<CapabilityName, Capability>>;
  /** Roles that belong to the provider: they can't be made, nor changed, by anyone else. */
  ownRoles: readonly string[];
  /** Schemas that it makes and fills in every database; what is in them may refuse to be restored. */
  ownSchemas: readonly string[];
  /** Whether an address leads to a pooler that can't hold a session from beginning to end. */
  pooler(address: Address): PoolerWarning | null;
  /** Where the facts can be looked up. */
  sources: readonly string[];
}

/** For providers whose addresses all lead to the server itself. */
export const noPooler = (): null => null;

export const NO_MARKS: ServerMarks = { settings: [], roles: [], schemas: [] };
