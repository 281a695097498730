import { invariant } from '../base/errors.ts';

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

/** Whether a text can be the name of an object (storage.ts says what those are). What isn't one is none of ours. */
export function isObjectName(name: string): boolean {
  return NAME.test(name);
}

/** @throws TidemarkError INTERNAL where the text is no name of an object: names come from our own code. */
export function checkName(name: string): void {
  invariant(isObjectName(name), `${JSON.stringify(name)} is no name of an object`);
}
