import { usageError } from '../../base/errors.ts';
import { parseKeyText } from '../../repository/keys/keyText.ts';
import type { Secret, SlotOwner } from '../../repository/keys/slots.ts';
import { parseServiceKey, SERVICE_KEY_FORMS } from '../../strategy/kms.ts';
import type { KeySource, RepositorySpec, Strategy } from '../../strategy/spec.ts';
import { requireOutside } from '../init/repositories.ts';
import { PASSPHRASE_LENGTH_MIN, readSecret } from '../open/open.ts';
import { readOrMakeKey } from './keyFile.ts';
import type { Undo } from './undo.ts';

/** Whom a slot is to be made for, as a command line says it; one of these. Paths are absolute. */
export interface OwnerOptions {
  passphraseEnv?: string;
  passphraseFile?: string;
  keyFile?: string;
  keyEnv?: string;
  age?: readonly string[];
  kms?: string;
}

const OPTIONS = '--key-file, --key-env, --passphrase-file, --passphrase-env, --age and --kms';

export interface FoundOwner {
  owner: SlotOwner;
  /** The key file that was made for it. */
  made: string | null;
}

export function isOwnerGiven(options: OwnerOptions): boolean {
  return Object.values(options).some(each => each !== undefined);
}

/** The owner that the options name. A key file that isn't there is made, and `undo` can take it back. */
export async function findOwner(
  options: OwnerOptions,
  strategy: Strategy,
  spec: RepositorySpec,
  undo: Undo,
): Promise<FoundOwner> {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  if (given.length !== 1) {
    const said = given.length === 0 ? 'nothing says' : `${given.length} options say`;
    throw usageError('KEY_OPTION', `${said} what the slot is to be opened by`, `give one of ${OPTIONS}`);
  }
  if (options.age) return { owner: { kind: 'age', recipients: options.age }, made: null };
  if (options.keyFile !== undefined) {
    requireOutside(spec, options.keyFile);
    const { text, made } = await readOrMakeKey(options.keyFile, undo);
    return { owner: { kind: 'key', text, where: options.keyFile }, made: made ? options.keyFile : null };
  }
  return { owner: checked(await readSecret(sourceOf(options), strategy.environment)), made: null };
}

function sourceOf({ passphraseEnv, passphraseFile, keyEnv, kms }: OwnerOptions): KeySource {
  if (passphraseEnv !== undefined) return { kind: 'passphraseEnv', variable: passphraseEnv };
  if (passphraseFile !== undefined) return { kind: 'passphraseFile', path: passphraseFile };
  if (keyEnv !== undefined) return { kind: 'env', variable: keyEnv };
  const service = parseServiceKey(kms ?? '');
  if (service) return { kind: 'kms', ...service };
  throw usageError('KEY_URI', `${kms} is no key in a service`, `write ${SERVICE_KEY_FORMS}`);
}

/** What opens a repository must not be guessed. */
function checked(secret: Secret): SlotOwner {
  if (secret.kind === 'age')
    throw usageError('KEY_OPTION', 'an identity is no recipient', 'give --age RECIPIENT');
  if (secret.kind === 'key') parseKeyText(secret.text, secret.where);
  if (secret.kind === 'passphrase' && [...secret.text].length < PASSPHRASE_LENGTH_MIN) {
    const hint = `use at least ${PASSPHRASE_LENGTH_MIN} characters, such as five words`;
    throw usageError('PASSPHRASE_SHORT', `the passphrase in ${secret.where} is short`, hint);
  }
  return secret;
}

const SOURCES: Record<string, (value: string) => KeySource> = {
  'key-file': path => ({ kind: 'file', path }),
  'key-env': variable => ({ kind: 'env', variable }),
  'passphrase-file': path => ({ kind: 'passphraseFile', path }),
  'passphrase-env': variable => ({ kind: 'passphraseEnv', variable }),
};

/** A secret of a slot, as `key-file=PATH` and the like; relative paths are the process's. */
export async function readGivenSecret(
  written: string,
  environment: Strategy['environment'],
): Promise<Extract<Secret, { kind: 'key' | 'passphrase' }>> {
  const at = written.indexOf('=');
  const source = SOURCES[written.slice(0, Math.max(0, at))];
  const secret = source && (await readSecret(source(written.slice(at + 1)), environment));
  if (secret?.kind === 'key' || secret?.kind === 'passphrase') return secret;
  throw usageError('KEY_OPTION', `${written} names no secret`, `write ${Object.keys(SOURCES).join('=, ')}=`);
}
