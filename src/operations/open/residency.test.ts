import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liesIn } from './residency.ts';

test('regions lie in the areas of their law', () => {
  const areas = ['eu', 'uk', 'ch', 'us', 'ca', 'ap'];
  const regions: Record<string, string | undefined> = {
    'eu-central-1': 'eu',
    'EUROPE-WEST1': 'eu',
    westeurope: 'eu',
    fsn1: 'eu',
    'eu-west-2': 'uk',
    'europe-west2': 'uk',
    'eu-central-2': 'ch',
    'us-east-1': 'us',
    eastus2: 'us',
    'ca-central-1': 'ca',
    'ap-southeast-2': 'ap',
    'asia-northeast1': 'ap',
    auto: undefined,
    'sa-east-1': undefined,
  };
  for (const [region, area] of Object.entries(regions)) {
    assert.deepEqual(
      areas.filter(each => liesIn(region, each)),
      area === undefined ? [] : [area],
      region,
    );
    assert.ok(liesIn(region, region));
  }
  assert.ok(!liesIn('eu-west-1', 'eu-west-2'));
});
