import { randomUUID } from 'node:crypto';
import { openStorage } from '../../src/storage/index.ts';
import { radosgw } from '../../tests/support/radosgw.ts';
import { makeBucket, specOf } from '../../tests/support/s3Buckets.ts';
import { placeOf } from './tidemark.ts';
import { missingProgram, type Tool } from './tool.ts';

/** Our program with its repository in a bucket of Ceph's S3 server, which keeps it in memory and shares the machine's cores. */
export const tidemarkS3: Tool = {
  name: 'tidemark s3',
  missing: missingProgram('radosgw', 'ceph-mon', 'ceph-osd'),
  incremental: true,
  async prepare(folder, source) {
    const bucket = `bench-${randomUUID()}`;
    await makeBucket(bucket);
    const { endpoint, user } = await radosgw();
    const credentials = { access_key_id: user.accessKeyId, secret_access_key: user.secretAccessKey };
    const written = { storage: `s3://${bucket}/main?endpoint=${endpoint}`, credentials };
    const storage = await openStorage({ spec: await specOf(`${bucket}/main`) });
    return {
      ...(await placeOf({ folder, source, written }, storage)),
      async storedBytes() {
        let bytes = 0;
        for await (const object of storage.list('')) bytes += object.sizeBytes;
        return bytes;
      },
    };
  },
};
