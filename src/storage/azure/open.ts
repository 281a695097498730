import type { ContainerClient } from '@azure/storage-blob';
import { usageError } from '../../base/errors.ts';
import { loadSdk } from '../sdk.ts';
import { AzureContainer, type AzureOptions } from './container.ts';
import { type AzureCredential, credentialOfEnvironment } from './credential.ts';
import type { AzureSpec } from './spec.ts';
import { AzureStorage } from './storage.ts';

const WHAT = 'azure:// storages';

/** Loads the SDK; nothing is sent before the first call. */
export async function openAzure(spec: AzureSpec, options: AzureOptions = {}): Promise<AzureStorage> {
  const credential = spec.credential ?? credentialOfEnvironment(spec, process.env);
  const client = await containerClient(spec, credential);
  const container = new AzureContainer(client, spec, { expires: expiryOf(credential), ...options });
  return new AzureStorage(container, spec);
}

async function containerClient(
  spec: AzureSpec,
  credential: AzureCredential | undefined,
): Promise<ContainerClient> {
  const { account, container, endpoint } = spec;
  const sdk = await loadSdk(() => import('@azure/storage-blob'), '@azure/storage-blob', WHAT);
  const url = `${endpoint}/${container}`;
  // Failed calls are repeated by our own wrapper, which also counts and bounds them.
  const options = { retryOptions: { maxTries: 1 }, userAgentOptions: { userAgentPrefix: 'tidemark' } };
  if (!credential) return new sdk.ContainerClient(url, await standardChain(endpoint), options);
  if ('sasToken' in credential) {
    return new sdk.ContainerClient(`${url}?${credential.sasToken}`, new sdk.AnonymousCredential(), options);
  }
  const key = new sdk.StorageSharedKeyCredential(account, credential.accountKey);
  return new sdk.ContainerClient(url, key, options);
}

/** The environment, a workload's or machine's identity, and what the tools of Azure are signed in as. */
async function standardChain(endpoint: string) {
  if (endpoint.startsWith('http:')) {
    throw usageError(
      'STORAGE_SETTING',
      `${endpoint} would get a token of Azure in plain text`,
      'use an https endpoint, or write an account_key under credentials',
    );
  }
  const { DefaultAzureCredential } = await loadSdk(() => import('@azure/identity'), '@azure/identity', WHAT);
  return new DefaultAzureCredential();
}

function expiryOf(credential: AzureCredential | undefined): Date | undefined {
  if (!credential || !('sasToken' in credential)) return undefined;
  const expiry = new Date(new URLSearchParams(credential.sasToken).get('se') ?? Number.NaN);
  return Number.isNaN(expiry.getTime()) ? undefined : expiry;
}
