import type { BlobGetPropertiesResponse } from '@azure/storage-blob';
import { missing } from '../object.ts';
import type { Freezer } from '../storage.ts';
import type { AzureContainer } from './container.ts';
import type { AzureSpec } from './spec.ts';

/** Where a thawed object comes to lie: what is read soon should cost nothing to read or to remove. */
const THAWED = 'Hot';

/**
 * The tier Archive. There are no copies for some days here: a thawed object changes its tier for good, and lies in Hot
 * until somebody moves it.
 */
export class AzureFreezer implements Freezer {
  readonly #container: AzureContainer;
  readonly #priority: AzureSpec['rehydrate'];

  constructor(container: AzureContainer, priority: AzureSpec['rehydrate']) {
    this.#container = container;
    this.#priority = priority;
  }

  async state(name: string): Promise<'readable' | 'frozen' | 'thawing'> {
    const found = await this.#container.properties(name);
    if (found) return stateOf(found);
    throw missing(name, this.#container.place);
  }

  async thaw(name: string): Promise<void> {
    if ((await this.state(name)) !== 'frozen') return;
    const blob = this.#container.blob(name);
    await this.#container.call('thaw', name, ({ signal }) =>
      blob.setAccessTier(THAWED, { rehydratePriority: this.#priority, abortSignal: signal }),
    );
  }
}

/** A blob that is being thawed is in the tier Archive until it is done, and its status says where it goes. */
function stateOf({
  accessTier,
  archiveStatus,
}: BlobGetPropertiesResponse): 'readable' | 'frozen' | 'thawing' {
  if (accessTier !== 'Archive') return 'readable';
  return archiveStatus === undefined ? 'frozen' : 'thawing';
}
