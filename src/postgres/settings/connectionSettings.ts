import type { HostAddress } from './hosts.ts';
import type { PasswordEntry } from './passwordFile.ts';

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

export const SESSION_ATTRIBUTES = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
] as const;

export type TargetSessionAttrs = (typeof SESSION_ATTRIBUTES)[number];

/** Everything needed to connect; plain data that can be posted to a worker thread. Holds secrets: never print it. */
export interface ConnectionSettings {
  /** Tried in order, unless loadBalanceHosts says otherwise. */
  hosts: HostAddress[];
  database: string;
  user: string;
  password?: string;
  /** Lines of the password file that can matter for these hosts and this user, for any database. */
  passwordEntries?: PasswordEntry[];
  passfile?: string;
  sslmode: SslMode;
  /** A file, or `system` for the authorities that the machine trusts. */
  sslrootcert?: string;
  sslcrl?: string;
  sslcert?: string;
  sslkey?: string;
  sslpassword?: string;
  sslnegotiation?: 'postgres' | 'direct';
  sslMinVersion?: string;
  sslMaxVersion?: string;
  channelBinding?: 'disable' | 'prefer' | 'require';
  /** Authentication methods that may be used, or with `!` may not; all of them when it is missing. */
  requireAuth?: string[];
  targetSessionAttrs: TargetSessionAttrs;
  loadBalanceHosts?: 'disable' | 'random';
  /** For each host; 0 waits for ever. */
  connectTimeoutMs: number;
  options?: string;
  applicationName?: string;
  keepalives?: boolean;
  keepalivesIdleMs?: number;
  /** What was found but not used, in words for the user. */
  warnings?: string[];
}
