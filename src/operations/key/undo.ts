import { rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What has been done so far, and how to take it back. */
export class Undo {
  readonly #steps: (() => Promise<unknown>)[] = [];

  push(step: () => Promise<unknown>): void {
    this.#steps.push(step);
  }

  /** From here on, what has been done stays. */
  forget(): void {
    this.#steps.length = 0;
  }

  /** Takes everything back, the latest first. A step that fails does not keep the others from being taken. */
  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) await step().catch(() => {});
  }
}

/** Removes a folder and those above it up to `top`, as long as they are empty. */
export async function removeEmptyFolders(folder: string, top: string): Promise<void> {
  for (let at = folder; at.length >= top.length; at = dirname(at)) {
    try {
      await rmdir(at);
    } catch {
      return;
    }
  }
}
