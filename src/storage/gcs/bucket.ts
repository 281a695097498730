import { TidemarkError } from '../../base/errors.ts';
import { checkName } from '../object.ts';
import type { Answer } from './answer.ts';
import type { GcsClient, Request } from './client.ts';
import { answerFailure, isOfBucket } from './failure.ts';

/** The part of a bucket that a storage lies in, and requests about it. */
export class GcsBucket {
  /** For people. */
  readonly place: string;
  readonly #client: GcsClient;
  readonly #bucket: string;
  /** What the names of all objects start with. */
  readonly #root: string;

  constructor(client: GcsClient, bucket: string, prefix: string, place: string) {
    this.place = place;
    this.#client = client;
    this.#bucket = bucket;
    this.#root = prefix === '' ? '' : `${prefix}/`;
  }

  /** What the bucket calls an object. */
  inBucket(name: string): string {
    checkName(name);
    return this.#root + name;
  }

  /** Of a listing. */
  prefixed(prefix: string): string | undefined {
    return this.#root + prefix || undefined;
  }

  /** What we call an object that the bucket lists. */
  nameOf(listed: string): string {
    return listed.slice(this.#root.length);
  }

  /** @param path from the bucket on: `/o`. */
  ask(doing: string, path: string, request: Omit<Request, 'path'>): Promise<Answer> {
    return this.#client.ask(this.#told(doing), { ...request, path: `/storage/v1/b/${this.#bucket}${path}` });
  }

  askOf(doing: string, name: string, request: Omit<Request, 'path'>): Promise<Answer> {
    return this.ask(doing, `/o/${encodeURIComponent(this.inBucket(name))}`, request);
  }

  /** Begins or carries out an upload; or goes on with one, at the address of its session. */
  upload(doing: string, session: string | undefined, request: Omit<Request, 'path'>): Promise<Answer> {
    const path = session ?? `/upload/storage/v1/b/${this.#bucket}/o`;
    return this.#client.ask(this.#told(doing), { ...request, path });
  }

  /** Whether the answer is that there is no such object. That there is no such bucket is thrown. */
  hasNone(answer: Answer, doing: string): boolean {
    if (answer.status !== 404) return false;
    if (isOfBucket(answer)) throw this.failure(answer, doing);
    return true;
  }

  failure(answer: Answer, doing: string): TidemarkError {
    return answerFailure(answer, this.#told(doing));
  }

  /** The content of an answer that has to be well. */
  content<T>(answer: Answer, doing: string): T {
    if (answer.status !== 200) throw this.failure(answer, doing);
    try {
      return JSON.parse(answer.body.toString());
    } catch (cause) {
      throw this.unreadable(doing, cause);
    }
  }

  /** An answer that is not what the documentation says, or only part of it. */
  unreadable(doing: string, cause?: unknown): TidemarkError {
    return new TidemarkError(
      'STORAGE_PROTOCOL',
      `${this.#told(doing)}: the answer is not what Cloud Storage sends`,
      'look at endpoint= in the address, and at what stands between this machine and Google',
      { cause, retry: {} },
    );
  }

  #told(doing: string): string {
    return `${doing} in ${this.place}`;
  }
}
