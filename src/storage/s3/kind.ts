import type { StorageKind } from '../kind.ts';
import { S3_CLASSES } from './classes.ts';
import { s3Lifecycle } from './lifecycle.ts';
import { parseS3, type S3Spec, s3Location } from './spec.ts';

/** AWS S3 and everything that speaks its protocol. */
export const s3Kind: StorageKind<S3Spec> = {
  kind: 's3',
  schemes: ['s3'],
  variables: ['AWS_'],
  classes: S3_CLASSES,
  parse: parseS3,
  location: s3Location,
  host: spec => (spec.endpoint ? new URL(spec.endpoint).hostname : 's3.amazonaws.com'),
  async open(spec) {
    const { openS3 } = await import('./storage.ts');
    return openS3(spec);
  },
  lifecycle: s3Lifecycle,
};
