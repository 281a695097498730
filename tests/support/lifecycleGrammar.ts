import assert from 'node:assert/strict';

/**
 * What providers accept as lifecycle rules, as far as tidemark writes them, from their references; and that no rule could
 * ever end a live object. Each throws an AssertionError that names the fault.
 */

type Json = Record<string, unknown>;

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html */
export function checkS3(document: object): void {
  only(document, ['Rules']);
  const rules = list(document, 'Rules');
  assert.equal(new Set(rules.map(rule => rule.ID)).size, rules.length, 'IDs are unique');
  for (const rule of rules) {
    only(rule, [
      'ID',
      'Status',
      'Filter',
      'AbortIncompleteMultipartUpload',
      'NoncurrentVersionExpiration',
      'Expiration',
      'Transitions',
    ]);
    assert.ok(String(rule.ID).length <= 255);
    assert.equal(rule.Status, 'Enabled');
    only(rule.Filter, ['Prefix']);
    assert.equal(typeof (rule.Filter as Json).Prefix, 'string');
    assert.ok(Object.keys(rule).length > 3, 'a rule has an action');
    const {
      AbortIncompleteMultipartUpload: abort,
      NoncurrentVersionExpiration: old,
      Expiration: end,
    } = rule as Json;
    if (abort) days(abort, 'DaysAfterInitiation', 1);
    if (old) days(old, 'NoncurrentDays', 1);
    // Days or Date here would end live objects.
    if (end) assert.deepEqual(end, { ExpiredObjectDeleteMarker: true });
    for (const move of (rule.Transitions as Json[] | undefined) ?? []) {
      only(move, ['Days', 'StorageClass']);
      const infrequent = ['STANDARD_IA', 'ONEZONE_IA'].includes(String(move.StorageClass));
      assert.ok(infrequent || ['INTELLIGENT_TIERING', 'GLACIER_IR'].includes(String(move.StorageClass)));
      assert.ok(Number.isInteger(move.Days) && Number(move.Days) >= (infrequent ? 30 : 0));
      assert.match(String((rule.Filter as Json).Prefix), /(^|\/)packs\/$/);
    }
  }
}

/** https://docs.cloud.google.com/storage/docs/lifecycle */
export function checkGcs(document: object): void {
  only(document, ['rule']);
  for (const rule of list(document, 'rule')) {
    only(rule, ['action', 'condition']);
    const { action, condition } = rule as { action: Json; condition: Json };
    for (const prefix of (condition.matchesPrefix as string[] | undefined) ?? []) assert.match(prefix, /\/$/);
    switch (action.type) {
      case 'AbortIncompleteMultipartUpload':
        only(action, ['type']);
        only(condition, ['age', 'matchesPrefix', 'matchesSuffix']);
        days(condition, 'age', 1, true);
        break;
      case 'Delete':
        only(action, ['type']);
        assert.equal(condition.isLive, false, 'only what is not live is deleted');
        days(condition, 'daysSinceNoncurrentTime', 1, true);
        break;
      case 'SetStorageClass':
        only(action, ['type', 'storageClass']);
        assert.ok(['NEARLINE', 'COLDLINE', 'ARCHIVE'].includes(String(action.storageClass)));
        days(condition, 'age', 0, true);
        assert.match((condition.matchesPrefix as string[]).join(), /(^|\/)packs\/$/);
        assert.ok(!(condition.matchesStorageClass as string[]).includes(String(action.storageClass)));
        assert.ok((condition.matchesStorageClass as string[]).length > 0);
        break;
      default:
        assert.fail(`no such action: ${action.type}`);
    }
  }
}

/** https://learn.microsoft.com/azure/storage/blobs/lifecycle-management-policy-structure */
export function checkAzure(document: object): void {
  only(document, ['rules']);
  const rules = list(document, 'rules');
  assert.ok(rules.length >= 1 && rules.length <= 100);
  assert.equal(new Set(rules.map(rule => rule.name)).size, rules.length, 'names are unique');
  for (const rule of rules) {
    only(rule, ['name', 'enabled', 'type', 'definition']);
    assert.match(String(rule.name), /^[A-Za-z0-9]{1,256}$/);
    assert.deepEqual([rule.enabled, rule.type], [true, 'Lifecycle']);
    const { filters, actions } = rule.definition as { filters: Json; actions: Json };
    only(rule.definition, ['filters', 'actions']);
    only(filters, ['blobTypes', 'prefixMatch']);
    assert.deepEqual(filters.blobTypes, ['blockBlob']);
    assert.match((filters.prefixMatch as string[]).join(), /^[a-z0-9-]+\//, 'it starts with the container');
    const { version, baseBlob } = actions as { version?: Json; baseBlob?: Json };
    only(actions, ['version', 'baseBlob']);
    if (version) {
      only(version, ['delete']);
      days(version.delete, 'daysAfterCreationGreaterThan', 0);
    }
    if (baseBlob) {
      const [action] = only(baseBlob, ['tierToCool', 'tierToCold']); // delete would end live objects
      days(baseBlob[action!], 'daysAfterModificationGreaterThan', 0);
    }
  }
}

function only(value: unknown, keys: readonly string[]): string[] {
  const found = Object.keys(value as object);
  for (const key of found) assert.ok(keys.includes(key), `${key} is not known`);
  return found;
}

function list(document: object, key: string): Json[] {
  const found = (document as Record<string, Json[]>)[key];
  assert.ok(Array.isArray(found) && found.length > 0, `${key} has rules`);
  return found;
}

function days(holder: unknown, key: string, least: number, amongOthers = false): void {
  if (!amongOthers) only(holder, [key]);
  const value = (holder as Json)[key];
  assert.ok(Number.isInteger(value) && Number(value) >= least, `${key} is ${value}`);
}
