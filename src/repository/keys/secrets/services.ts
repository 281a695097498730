import type { ServiceKey, ServiceName } from './secret.ts';
import type { KeyService } from './service.ts';

export const OPENERS: Record<ServiceName, (key: ServiceKey) => Promise<KeyService>> = {
  'aws-kms': async key => (await import('./awsKms.ts')).openAwsKms(key),
  'gcp-kms': async key => (await import('./gcpKms.ts')).openGcpKms(key),
  'azure-kv': async key => (await import('./azureKeyVault.ts')).openAzureKeyVault(key),
};

/** Loads the service's SDK. @throws TidemarkError KEY_SDK_MISSING where it is not installed. */
export function openService(key: ServiceKey): Promise<KeyService> {
  return OPENERS[key.service](key);
}
