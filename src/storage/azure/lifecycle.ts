import {
  folderOf,
  type Lifecycle,
  type LifecycleWishes,
  MOVED_FOLDER,
  OLD_VERSION_DAYS,
  replacesAll,
} from '../lifecycle.ts';
import type { AzureSpec } from './spec.ts';

/**
 * The form of `az storage account management-policy create`:
 * https://learn.microsoft.com/azure/storage/blobs/lifecycle-management-policy-structure. Blocks that no list names Azure
 * throws away by itself, after a week.
 */
export function azureLifecycle(spec: AzureSpec, { repository, locked, move }: LifecycleWishes): Lifecycle {
  const { account, container, prefix } = spec;
  const folder = `${container}/${folderOf(prefix)}`;
  const rules: object[] = [];
  if (locked)
    rules.push(
      rule(`tidemark${wordOf(repository)}OldVersions`, folder, {
        version: { delete: { daysAfterCreationGreaterThan: OLD_VERSION_DAYS } },
      }),
    );
  if (move)
    rules.push(
      rule(`tidemark${wordOf(repository)}Packs`, folder + MOVED_FOLDER, {
        baseBlob: { [`tierTo${move.storageClass}`]: { daysAfterModificationGreaterThan: move.afterDays } },
      }),
    );
  const versions =
    'Azure counts the days of a version from when it was written, not from when it was replaced or removed';
  if (rules.length === 0)
    return {
      document: null,
      apply: '',
      notes: [
        'no rule is needed: Azure throws unfinished uploads away after a week',
        `if the account keeps versions, say yourself how long: ${versions}, so that a rule would end old objects as soon as somebody removes them`,
      ],
    };
  return {
    document: { rules },
    apply: `az storage account management-policy create --account-name ${account} --resource-group RESOURCE_GROUP --policy @lifecycle.json`,
    notes: [
      replacesAll('storage account'),
      ...(locked
        ? [`${versions}; a locked one stays until its lock ends, and soft delete keeps removed ones longer`]
        : []),
    ],
  };
}

function rule(name: string, folder: string, actions: object): object {
  return {
    name,
    enabled: true,
    type: 'Lifecycle',
    definition: { filters: { blobTypes: ['blockBlob'], prefixMatch: [folder] }, actions },
  };
}

/** Names of rules are letters and digits. */
function wordOf(name: string): string {
  return name
    .split(/[^A-Za-z0-9]+/)
    .map(part => part.slice(0, 1).toUpperCase() + part.slice(1))
    .join('');
}
