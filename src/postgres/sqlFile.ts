import { readFileSync } from 'node:fs';

/** The text of a query of the sql folder, by its name without `.sql`. */
export function sqlFile(name: string): string {
  return readFileSync(new URL(`./sql/${name}.sql`, import.meta.url), 'utf8');
}
