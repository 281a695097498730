import type { Decrypter } from 'age-encryption';
import { faultError, usageError } from '../../../base/errors.ts';
import { DAMAGE_HINT } from '../../../storage/damage.ts';
import { loadKeySdk } from './service.ts';

type Age = typeof import('age-encryption');

const ENCRYPTED = /^(age-encryption\.org\/|-----BEGIN AGE ENCRYPTED FILE-----)/;
const NATIVE = /^AGE-SECRET-KEY-(PQ-)?1/;

function loadAge(): Promise<Age> {
  return loadKeySdk(() => import('age-encryption'), 'age-encryption', 'slots of age recipients');
}

/** A text for all of these recipients, armored. Anyone of them can decrypt it, also with age's own program. */
export async function sealForAge(text: string, recipients: readonly string[]): Promise<string> {
  const age = await loadAge();
  const encrypter = new age.Encrypter();
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch (cause) {
      throw badRecipient(recipient, cause);
    }
  }
  return age.armor.encode(await encrypter.encrypt(text));
}

/** The text, or undefined where no identity is one of its recipients. */
export async function unsealAge(
  sealed: string,
  identities: { text: string; where: string },
): Promise<string | undefined> {
  const age = await loadAge();
  const decrypter = new age.Decrypter();
  for (const identity of identityLines(identities.text, identities.where))
    addIdentity(decrypter, identity, identities.where);
  try {
    return await decrypter.decrypt(age.armor.decode(sealed), 'text');
  } catch (cause) {
    if (/no identity matched/.test((cause as Error).message)) return undefined;
    throw faultError(
      'KEY_SLOT_DAMAGED',
      `the age file of a key slot can't be decrypted: ${(cause as Error).message}`,
      DAMAGE_HINT,
      cause,
    );
  }
}

/** The recipients of the identities in a file: whom a repository that these open is made for. */
export async function recipientsOf(text: string, where: string): Promise<string[]> {
  const age = await loadAge();
  return Promise.all(
    identityLines(text, where).map(identity =>
      age.identityToRecipient(identity).catch(cause => {
        throw badIdentity(where, cause);
      }),
    ),
  );
}

function identityLines(text: string, where: string): string[] {
  if (ENCRYPTED.test(text.trimStart())) {
    const hint = 'decrypt it first (age --decrypt), or put the identity into a variable: age_identity_env';
    throw usageError('AGE_IDENTITY', `the identities in ${where} are encrypted themselves`, hint);
  }
  const lines = text
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'));
  if (lines.length === 0) throw badIdentity(where);
  return lines;
}

function addIdentity(decrypter: Decrypter, identity: string, where: string): void {
  try {
    decrypter.addIdentity(identity);
  } catch (cause) {
    throw badIdentity(where, cause, identity);
  }
}

/** Nothing of the identity is told: it is a secret. */
function badIdentity(where: string, cause?: unknown, identity = ''): Error {
  const foreign = identity !== '' && !NATIVE.test(identity);
  const what = foreign ? 'holds an identity that tidemark has no program for' : 'holds no age identity';
  const hint = foreign
    ? "only native identities are known (AGE-SECRET-KEY-1…, AGE-SECRET-KEY-PQ-1…); with any other, 'age --decrypt' makes a key of what the slot has sealed: docs/guides/keys.md"
    : 'age-keygen makes one; its lines start with AGE-SECRET-KEY-1';
  // What the package says may quote the identity.
  return usageError('AGE_IDENTITY', `${where} ${what}`, hint, foreign ? undefined : sanitized(cause));
}

function sanitized(cause: unknown): string | undefined {
  return cause instanceof Error ? cause.name : undefined;
}

function badRecipient(recipient: string, cause: unknown): Error {
  const shown = recipient.length > 40 ? `${recipient.slice(0, 40)}…` : recipient;
  const ssh = recipient.startsWith('ssh-');
  return usageError(
    'AGE_RECIPIENT',
    NATIVE.test(recipient)
      ? 'an age identity is given where its recipient belongs'
      : `${shown} is no age recipient`,
    NATIVE.test(recipient)
      ? 'it is secret: it must not be typed there; age-keygen -y FILE prints the recipient'
      : ssh
        ? 'SSH keys are not supported: make an identity with age-keygen and give its recipient'
        : 'a recipient starts with age1',
    NATIVE.test(recipient) ? undefined : cause,
  );
}
