import type { StorageKind } from '../kind.ts';
import { azureLifecycle } from './lifecycle.ts';
import { AZURE_CLASSES, type AzureSpec, locationOfAzure, parseAzure } from './spec.ts';

/** A container of Azure Blob storage, or a folder in one. */
export const azureKind: StorageKind<AzureSpec> = {
  kind: 'azure',
  schemes: ['azure', 'az'],
  variables: ['AZURE_'],
  classes: AZURE_CLASSES,
  parse: parseAzure,
  location: locationOfAzure,
  host: spec => new URL(spec.endpoint).hostname,
  async open(spec) {
    const { openAzure } = await import('./open.ts');
    return openAzure(spec);
  },
  lifecycle: azureLifecycle,
};
