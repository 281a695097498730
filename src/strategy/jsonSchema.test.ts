import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { renderSchema, SCHEMA_FILE } from './jsonSchema.ts';

test('docs/reference/strategy.schema.json is up to date', async () => {
  const written = await readFile(SCHEMA_FILE, 'utf8');
  assert.equal(written, renderSchema(), 'run: node src/strategy/jsonSchema.ts');
});

test('it refuses unknown keys and describes the keys', () => {
  const schema = JSON.parse(renderSchema());
  const plan = schema.properties.plans.additionalProperties;
  assert.equal(plan.additionalProperties, false);
  assert.deepEqual(plan.required, ['database', 'schedule', 'store']);
  assert.match(plan.properties.schedule.description, /cron/);
  assert.equal(schema.properties.databases.propertyNames.pattern.includes('63'), true);
});
