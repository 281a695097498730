import {
  folderOf,
  type Lifecycle,
  type LifecycleWishes,
  MOVED_FOLDER,
  OLD_VERSION_DAYS,
  replacesAll,
  UNFINISHED_DAYS,
} from '../lifecycle.ts';
import type { GcsSpec } from './spec.ts';

/** Objects only ever move to the right. */
const COLDER = ['STANDARD', 'NEARLINE', 'COLDLINE', 'ARCHIVE'];

/** The form of `--lifecycle-file`: https://docs.cloud.google.com/storage/docs/lifecycle. */
export function gcsLifecycle({ bucket, prefix }: GcsSpec, { move }: LifecycleWishes): Lifecycle {
  const folder = folderOf(prefix);
  const within = folder === '' ? {} : { matchesPrefix: [folder] };
  const rules: object[] = [
    {
      action: { type: 'AbortIncompleteMultipartUpload' },
      condition: { age: UNFINISHED_DAYS, ...within },
    },
    {
      action: { type: 'Delete' },
      condition: { isLive: false, daysSinceNoncurrentTime: OLD_VERSION_DAYS, ...within },
    },
  ];
  if (move)
    rules.push({
      action: { type: 'SetStorageClass', storageClass: move.storageClass },
      condition: {
        age: move.afterDays,
        matchesPrefix: [folder + MOVED_FOLDER],
        matchesStorageClass: COLDER.slice(0, COLDER.indexOf(move.storageClass)),
      },
    });
  return {
    document: { rule: rules },
    apply: `gcloud storage buckets update gs://${bucket} --lifecycle-file lifecycle.json`,
    notes: [
      replacesAll('bucket'),
      'old versions are only in a bucket that keeps versions; one under retention stays until that ends',
    ],
  };
}
