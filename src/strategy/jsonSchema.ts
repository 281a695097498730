/**
 * The strategy's JSON Schema, which editors complete and check with. Run directly, this file writes it to
 * docs/reference/strategy.schema.json.
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { strategySchema } from './schema.ts';

/** As biome.json has it, so that the file is as the formatter wants it. */
const LINE_WIDTH = 110;
const INDENT = '  ';

/** Where the rendered schema is kept. */
export const SCHEMA_FILE = fileURLToPath(
  new URL('../../docs/reference/strategy.schema.json', import.meta.url),
);

/** The JSON Schema (draft 7, which editors know best) as the text of a file. */
export function renderSchema(): string {
  const schema = z.toJSONSchema(strategySchema, { io: 'input', target: 'draft-7' });
  return `${render(schema, '', 0)}\n`;
}

/** @param taken columns of the line that stand before the value, its indentation not counted. */
function render(value: unknown, indent: string, taken: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const deeper = indent + INDENT;
  if (Array.isArray(value)) {
    const oneLine = `[${value.map(item => JSON.stringify(item)).join(', ')}]`;
    const plain = value.every(item => typeof item !== 'object');
    // One column is left for the comma behind it.
    if (plain && indent.length + taken + oneLine.length < LINE_WIDTH) return oneLine;
    return `[\n${value.map(item => deeper + render(item, deeper, 0)).join(',\n')}\n${indent}]`;
  }
  const entries = Object.entries(value).map(([key, item]) => {
    const name = `${JSON.stringify(key)}: `;
    return deeper + name + render(item, deeper, name.length);
  });
  return entries.length === 0 ? '{}' : `{\n${entries.join(',\n')}\n${indent}}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(SCHEMA_FILE, renderSchema());
