import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { faultError, type TidemarkError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import type { EpochKeys, RepositoryKeys } from './keys.ts';
import { newKeyText, parseKeyText } from './keyText.ts';
import { recipientsOf, sealForAge, unsealAge } from './secrets/age.ts';
import { type Kdf, passphraseKey, SCRYPT } from './secrets/passphrase.ts';
import { SERVICES, type Secret, type ServiceName, type SlotOwner } from './secrets/secret.ts';
import { openService } from './secrets/services.ts';

export type { Secret, SlotOwner } from './secrets/secret.ts';

/** `keys/<slot>.json`: the master key of an epoch, wrapped for one owner (docs/format.md, "Slots"). */
export interface KeySlot {
  tidemark: 'key';
  format: 1;
  slot: string;
  kind: 'key' | 'passphrase' | 'age' | ServiceName;
  /** Absent: 0. */
  epoch?: number;
  kdf?: Kdf;
  recipients?: readonly string[];
  /** The service's name of its key. */
  key?: string;
  /** A key text, encrypted for the recipients or by the service. */
  sealed?: string;
  nonce: string;
  wrapped: string;
  older?: string;
  replaces?: string;
  /** Absent in slots that were made before there were epochs. */
  mac?: string;
}

/** What a slot may be called. */
export const SLOT_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

const FIELDS =
  'tidemark format slot kind epoch kdf recipients key sealed nonce wrapped older replaces mac'.split(' ');
const NONCE_BYTES = 12;
const WRAPPED_BYTES = 48;
const MAC_BYTES = 32;

/** An object that is not encrypted, as it is written. */
export function plainObject(value: object): Buffer {
  return Buffer.from(JSON.stringify(value, null, 2) + '\n');
}

export function parseObject(bytes: Buffer, where: string): Record<string, unknown> {
  let cause: unknown;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    cause = error;
  }
  throw faultError('OBJECT_DAMAGED', `${where} is not a JSON object`, DAMAGE_HINT, cause);
}

/** A key slot whose fields have the form they must have; whether it is whole only its secret, or its mac, can tell. */
export function parseSlot(bytes: Buffer, where: string): KeySlot {
  const slot = parseObject(bytes, where) as unknown as KeySlot;
  const { kdf, epoch = 0, older } = slot;
  const formed =
    slot.tidemark === 'key' &&
    slot.format === 1 &&
    typeof slot.slot === 'string' &&
    formedByKind(slot) &&
    Number.isSafeInteger(epoch) &&
    (slot.epoch === undefined ? older === undefined : epoch > 0 && decoded(older) !== undefined) &&
    decoded(slot.nonce)?.length === NONCE_BYTES &&
    decoded(slot.wrapped)?.length === WRAPPED_BYTES &&
    (slot.mac === undefined || decoded(slot.mac)?.length === MAC_BYTES) &&
    (slot.replaces === undefined || typeof slot.replaces === 'string') &&
    (kdf === undefined || (kdf.name === 'scrypt' && decoded(kdf.salt) !== undefined));
  if (formed) return slot;
  throw slotDamaged(`${where} is not a key slot`);
}

function formedByKind({ kind, kdf, recipients, key, sealed }: KeySlot): boolean {
  if (kind === 'key') return true;
  if (kind === 'passphrase') return typeof kdf?.salt === 'string';
  if (kind === 'age')
    return (
      typeof sealed === 'string' &&
      Array.isArray(recipients) &&
      recipients.every(each => typeof each === 'string')
    );
  return SERVICES.includes(kind) && typeof key === 'string' && decoded(sealed) !== undefined;
}

/** Base64 in its one proper form: a changed character must not be skipped over. */
export function decoded(text: unknown): Buffer | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

export function slotDamaged(what: string, cause?: unknown): TidemarkError {
  return faultError('KEY_SLOT_DAMAGED', what, DAMAGE_HINT, cause);
}

export const epochOf = (slot: Pick<KeySlot, 'epoch'>): number => slot.epoch ?? 0;

/** Wraps the master key of an epoch for one owner. `older` is needed from epoch 1 on (epochs.ts makes it). */
export async function wrapKey(
  keys: EpochKeys,
  slot: string,
  owner: SlotOwner,
  more: { older?: string; replaces?: string } = {},
): Promise<KeySlot> {
  const { repositoryId, epoch } = keys;
  const { key, ...fields } = await ownFields(repositoryId, slot, owner);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(boundTo(repositoryId, { slot, epoch }));
  const wrapped = Buffer.concat([cipher.update(keys.master), cipher.final(), cipher.getAuthTag()]);
  const made: KeySlot = {
    tidemark: 'key',
    format: 1,
    slot,
    kind: fields.kind,
    ...(epoch === 0 ? {} : { epoch }),
    ...fields.shown,
    nonce: nonce.toString('base64'),
    wrapped: wrapped.toString('base64'),
    ...(more.older === undefined ? {} : { older: more.older }),
    ...(more.replaces === undefined ? {} : { replaces: more.replaces }),
  };
  return withMac(keys, made);
}

/** Whom a slot is made for that this secret is to open. */
export async function ownerOf(secret: Secret): Promise<SlotOwner> {
  if (secret.kind !== 'age') return secret;
  return { kind: 'age', recipients: await recipientsOf(secret.text, secret.where) };
}

/** The key of a new slot, and what stands in the slot of how its owner comes to it. */
async function ownFields(
  repositoryId: string,
  slot: string,
  owner: SlotOwner,
): Promise<{ key: Buffer; kind: KeySlot['kind']; shown: Partial<KeySlot> }> {
  switch (owner.kind) {
    case 'key':
      return { key: keyOfText(owner.text, owner.where, repositoryId), kind: 'key', shown: {} };
    case 'passphrase': {
      const kdf: Kdf = { ...SCRYPT, salt: randomBytes(16).toString('base64') };
      return { key: await passphraseKey(owner, kdf), kind: 'passphrase', shown: { kdf } };
    }
    case 'age': {
      const text = newKeyText();
      const sealed = await sealForAge(text, owner.recipients);
      const shown = { recipients: [...owner.recipients], sealed };
      return { key: keyOfText(text, slot, repositoryId), kind: 'age', shown };
    }
    case 'service': {
      const text = newKeyText();
      const { key, sealed } = await (await openService(owner)).seal(text, { repositoryId, slot });
      const shown = { key, sealed: sealed.toString('base64') };
      return { key: keyOfText(text, slot, repositoryId), kind: owner.service, shown };
    }
  }
}

/** The master key, or undefined if this secret does not open this slot. */
export async function unwrapKey(
  slot: KeySlot,
  repositoryId: string,
  secret: Secret,
): Promise<Buffer | undefined> {
  const key = await slotKey(slot, repositoryId, secret);
  if (!key) return undefined;
  const wrapped = Buffer.from(slot.wrapped, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(slot.nonce, 'base64'));
  decipher.setAAD(boundTo(repositoryId, slot));
  decipher.setAuthTag(wrapped.subarray(32));
  try {
    return Buffer.concat([decipher.update(wrapped.subarray(0, 32)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** The slot's key, where the secret is of the kind that may have it. What was unsealed by hand is a key like any other. */
async function slotKey(slot: KeySlot, repositoryId: string, secret: Secret): Promise<Buffer | undefined> {
  if (slot.kind === 'passphrase')
    return secret.kind === 'passphrase' && slot.kdf ? passphraseKey(secret, slot.kdf) : undefined;
  if (secret.kind === 'key') return keyOfText(secret.text, secret.where, repositoryId);
  const text = await unsealed(slot, repositoryId, secret);
  if (text === undefined) return undefined;
  try {
    return keyOfText(text, slot.slot, repositoryId);
  } catch {
    return undefined; // whoever sealed it was no tidemark
  }
}

async function unsealed(slot: KeySlot, repositoryId: string, secret: Secret): Promise<string | undefined> {
  const { kind, sealed = '', key = '' } = slot;
  if (secret.kind === 'age' && kind === 'age') return unsealAge(sealed, secret);
  if (secret.kind !== 'service' || kind !== secret.service) return undefined;
  const service = await openService(secret);
  return service.unseal(Buffer.from(sealed, 'base64'), key, { repositoryId, slot: slot.slot });
}

/** HMAC of an object's JSON without its `mac`: who made it had the master key of the epoch. */
export function withMac<T extends { mac?: string }>(keys: EpochKeys, object: T): T {
  const { mac: _, ...rest } = object;
  return { ...rest, mac: macOf(keys, rest).toString('base64') } as T;
}

/** Whether the object is as somebody wrote it who had the master key of the epoch. */
export function macHolds<T extends { mac?: string }>(keys: EpochKeys, object: T): boolean {
  const { mac, ...rest } = object;
  const given = decoded(mac);
  return given?.length === MAC_BYTES && timingSafeEqual(given, macOf(keys, rest));
}

/**
 * Whether a slot can be as it was written, by the keys of the epochs that are open. One without a mac has no field of which
 * docs/format.md does not know: it would be the mac's, under a damaged name. One that names an epoch that is not open is
 * believed, unless another epoch vouches for all the rest.
 */
export function mayBeWhole(slot: KeySlot, keys: RepositoryKeys): boolean {
  if (slot.mac === undefined) return Object.keys(slot).every(field => FIELDS.includes(field));
  const epoch = vouchingEpoch(slot, keys);
  return epoch === undefined ? epochOf(slot) > keys.newest : epoch === epochOf(slot);
}

/** The epoch that the slot was written for, by its mac; what a damaged one says of its epoch can be another. */
export function vouchingEpoch(slot: KeySlot, keys: RepositoryKeys): number | undefined {
  for (let epoch = keys.newest; epoch >= 0; epoch--) {
    const written = epoch === epochOf(slot) ? slot : { ...slot, epoch };
    if (macHolds(keys.at(epoch), written)) return epoch;
  }
  return undefined;
}

function macOf(keys: EpochKeys, value: object): Buffer {
  return createHmac('sha256', keys.mac()).update(JSON.stringify(value)).digest();
}

function boundTo(repositoryId: string, { slot, epoch = 0 }: { slot: string; epoch?: number }): Buffer {
  return Buffer.from(`tidemark/1 key ${repositoryId} ${slot}${epoch === 0 ? '' : ` ${epoch}`}`);
}

function keyOfText(text: string, where: string, repositoryId: string): Buffer {
  const key = parseKeyText(text, where);
  return Buffer.from(hkdfSync('sha256', key, Buffer.from(repositoryId, 'hex'), 'tidemark/1 slot', 32));
}
