import type { BlobGetPropertiesResponse, BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { TidemarkError } from '../../base/errors.ts';
import { checkName } from '../object.ts';
import { type Attempt, attempt, SILENCE_MS } from './call.ts';
import { azureError } from './failure.ts';
import { type AzureSpec, locationOfAzure } from './spec.ts';

/** Of a list, in one answer: as many as the service gives. */
const PAGE_OBJECTS = 5000;

export interface AzureOptions {
  /** When the SAS token ends, if that is what we come with. */
  expires?: Date;
  silenceMs?: number;
  pageObjects?: number;
}

/** Part of a container, and the way every call to it goes: it ends, and its errors are ours. */
export class AzureContainer {
  readonly client: ContainerClient;
  readonly place: string;
  /** In front of every name: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly pageObjects: number;
  readonly #options: AzureOptions;
  #reached = false;

  constructor(client: ContainerClient, spec: AzureSpec, options: AzureOptions = {}) {
    this.client = client;
    this.place = locationOfAzure(spec);
    this.prefix = spec.prefix && `${spec.prefix}/`;
    this.pageObjects = options.pageObjects ?? PAGE_OBJECTS;
    this.#options = options;
  }

  /** @throws TidemarkError INTERNAL where the name is none. */
  blob(name: string): BlockBlobClient {
    checkName(name);
    return this.client.getBlockBlobClient(this.prefix + name);
  }

  /**
   * @param doing what can't be done if it fails: `read`.
   * @param name what can't be done that to: an object, or something else.
   */
  async call<T>(doing: string, name: string, run: (attempt: Attempt) => Promise<T>): Promise<T> {
    const what = `can't ${doing} ${name} in ${this.place}`;
    const { expires, silenceMs = SILENCE_MS } = this.#options;
    try {
      const result = await attempt(what, silenceMs, run);
      this.#reached = true;
      return result;
    } catch (error) {
      const { statusCode } = error as { statusCode?: number };
      if (statusCode !== undefined) this.#reached = true;
      throw azureError(error, what, { place: this.place, name, reached: this.#reached, expires });
    }
  }

  /** What the service knows of a blob; undefined where there is none. */
  async properties(name: string): Promise<BlobGetPropertiesResponse | undefined> {
    const blob = this.blob(name);
    try {
      const found = await this.call('look at', name, ({ signal }) =>
        blob.getProperties({ abortSignal: signal }),
      );
      return isFolder(found.metadata) ? undefined : found;
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'OBJECT_MISSING') return undefined;
      throw error;
    }
  }
}

/** Accounts with a hierarchical namespace show their folders as empty blobs that are marked so. */
export function isFolder(metadata: Record<string, string> | undefined): boolean {
  return metadata?.hdi_isfolder === 'true';
}
