import { LocalStorage } from './local.ts';
import type { Storage, StorageSpec } from './storage.ts';

/** The one place where storages are known by kind and wrapped. */
export async function openStorage(spec: StorageSpec): Promise<Storage> {
  switch (spec.kind) {
    case 'local': {
      const storage = new LocalStorage(spec.path);
      await storage.sweep();
      return storage;
    }
  }
}
