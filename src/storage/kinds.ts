/** All kinds of storages: the one place where they are listed. */
import { invariant } from '../base/errors.ts';
import { azureKind } from './azure/kind.ts';
import { gcsKind } from './gcs/kind.ts';
import type { StorageKind } from './kind.ts';
import { localKind } from './local/storage.ts';
import { s3Kind } from './s3/kind.ts';
import { sftpKind } from './sftp/kind.ts';

const KINDS = [localKind, s3Kind, azureKind, gcsKind, sftpKind] as const;

// biome-ignore lint/suspicious/noExplicitAny: a list of kinds whose specs differ; `kindOf` pairs each with its own
export const STORAGE_KINDS: readonly StorageKind<any>[] = KINDS;

/** How a storage is opened, here or in a worker thread: plain data. It may hold secrets from the strategy; never print it. */
export type StorageSpec = ReturnType<(typeof KINDS)[number]['parse']>;

/** For people, and equal for two specs of the same objects. */
export function locationOf(spec: StorageSpec): string {
  return kindOf(spec).location(spec);
}

export function kindOf(spec: StorageSpec): StorageKind<StorageSpec> {
  const kind = STORAGE_KINDS.find(each => each.kind === spec.kind);
  invariant(kind, `no storage is called ${spec.kind}`);
  return kind;
}

/**
 * Gives the process what else the standard chains of storages read, such as AWS_PROFILE: variables of `.env` files, which
 * are in no process's environment by themselves. What is set already stays.
 */
export function lendVariables(
  environment: Readonly<Record<string, string | undefined>>,
  to: NodeJS.ProcessEnv = process.env,
): void {
  const starts = STORAGE_KINDS.flatMap(kind => kind.variables);
  for (const [name, value] of Object.entries(environment))
    if (to[name] === undefined && value !== undefined && starts.some(start => name.startsWith(start)))
      to[name] = value;
}

/** The folder on this machine that a storage is, if it is one. */
export function folderOf(spec: StorageSpec): string | null {
  return spec.kind === 'local' ? spec.path : null;
}
