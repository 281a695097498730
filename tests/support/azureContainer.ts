import {
  ContainerClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import type { AzureSpec } from '../../src/storage/azure/spec.ts';
import { azurite } from './azurite.ts';

export const CONTAINER = 'tests';

export interface Placed {
  container?: string;
  /** Of a proxy in front of the server. */
  port?: number;
}

/** A folder in a container on azurite, which is made where it is missing. */
export async function azureSpec(prefix: string, placed: Placed = {}): Promise<AzureSpec> {
  const { account, accountKey, endpoint, port } = await azurite();
  const { container = CONTAINER } = placed;
  await (await clientOf(container)).createIfNotExists();
  return {
    kind: 'azure',
    account,
    container,
    prefix,
    endpoint: endpoint.replace(`:${port}/`, `:${placed.port ?? port}/`),
    credential: { accountKey },
    rehydrate: 'Standard',
  };
}

/** The container as others see it, past our own code. */
export async function clientOf(container = CONTAINER): Promise<ContainerClient> {
  const { account, accountKey, endpoint } = await azurite();
  return new ContainerClient(`${endpoint}/${container}`, new StorageSharedKeyCredential(account, accountKey));
}

/** A token for that container that ends after so many minutes, or ended before. */
export async function sasToken(
  permissions: string,
  minutes: number,
  containerName = CONTAINER,
): Promise<string> {
  const { account, accountKey } = await azurite();
  const expiresOn = new Date(Date.now() + minutes * 60_000);
  const startsOn = new Date(Math.min(Date.now(), expiresOn.getTime()) - 3600_000);
  const grants = ContainerSASPermissions.parse(permissions);
  const key = new StorageSharedKeyCredential(account, accountKey);
  return generateBlobSASQueryParameters(
    { containerName, permissions: grants, startsOn, expiresOn },
    key,
  ).toString();
}
