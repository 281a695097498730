/** The laws of contract.ts as tests; every storage runs them. */
import { test } from 'node:test';
import { LAWS } from './laws.ts';
import type { Storage } from './storage.ts';

export { refuses } from './laws.ts';

type Open = (place: string) => Promise<Storage>;

export interface ContractOptions {
  /** How coarse the storage's clock is, and how far that of its objects may be from it. Default: 20. */
  clockMs?: number;
  /** Laws that can't be kept there, and why. */
  broken?: Readonly<Record<string, string>>;
  /** Puts something into a place, past our code. */
  plant?(place: string, name: string): Promise<void>;
}

/** `open` gives a storage that is empty at first; given the same place again, another handle on the same objects. */
export function storageContract(kind: string, open: Open, options: ContractOptions = {}): void {
  const { clockMs = 20, broken = {}, plant } = options;
  for (const [i, [name, law]] of Object.entries(LAWS).entries()) {
    test(`${kind}: ${name}`, { skip: broken[name] ?? false }, async () => {
      const place = `place-${i}`;
      const storage = await open(place);
      try {
        const planted = plant && ((name: string) => plant(place, name));
        await law({ storage, clockMs, again: () => open(place), plant: planted });
      } finally {
        await storage.close();
      }
    });
  }
}
