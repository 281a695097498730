import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { faultError } from '../../base/errors.ts';
import { DAMAGE_HINT } from '../../storage/damage.ts';
import type { Storage } from '../../storage/storage.ts';
import { listOwn } from '../format/objectNames.ts';
import type { EpochKeys } from './keys.ts';
import { decoded, parseObject, withMac } from './slots.ts';

/** `epochs/<epoch>.json`: the epoch has begun (docs/format.md, "Epochs"). */
export interface EpochObject {
  tidemark: 'epoch';
  format: 1;
  epoch: number;
  /** ISO 8601, the clock of who began it. */
  started: string;
  /** The master keys of all epochs before, sealed. */
  older: string;
  mac: string;
}

const NAME = /^epochs\/([1-9]\d{0,8})\.json$/;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MASTER_BYTES = 32;

export const epochName = (epoch: number): string => `epochs/${epoch}.json`;

/** The newest epoch that has begun. */
export async function newestEpoch(storage: Storage): Promise<number> {
  let newest = 0;
  for await (const { name } of listOwn(storage, 'epochs/'))
    newest = Math.max(newest, Number(NAME.exec(name)?.[1] ?? 0));
  return newest;
}

export function newEpochObject(keys: EpochKeys, older: string, started: Date): EpochObject {
  const { epoch } = keys;
  const object = {
    tidemark: 'epoch',
    format: 1,
    epoch,
    started: started.toISOString(),
    older,
    mac: '',
  } as const;
  return withMac<EpochObject>(keys, object);
}

/** An epoch's object whose fields have the form they must have; whether it is whole its mac tells. */
export function parseEpoch(bytes: Buffer, where: string): EpochObject {
  const object = parseObject(bytes, where) as unknown as EpochObject;
  const { tidemark, format, epoch, started, older, mac } = object;
  const at = Date.parse(started);
  const formed =
    tidemark === 'epoch' &&
    format === 1 &&
    Number.isSafeInteger(epoch) &&
    !Number.isNaN(at) &&
    new Date(at).toISOString() === started &&
    decoded(older)?.length === NONCE_BYTES + epoch * MASTER_BYTES + TAG_BYTES &&
    decoded(mac) !== undefined;
  if (formed) return object;
  throw faultError('EPOCH_DAMAGED', `${where} is no epoch's object`, DAMAGE_HINT);
}

/** Seals the master keys of the epochs before, oldest first, for who opens the epoch. */
export function sealOlder(keys: EpochKeys, masters: readonly Uint8Array[]): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keys.older(), nonce);
  cipher.setAAD(boundTo(keys));
  const sealed = Buffer.concat([...masters.map(master => cipher.update(master)), cipher.final()]);
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64');
}

/** The master keys of the epochs before, oldest first; undefined where they were sealed for another, or changed. */
export function openOlder(keys: EpochKeys, sealed: string): Buffer[] | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes.length !== NONCE_BYTES + keys.epoch * MASTER_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', keys.older(), bytes.subarray(0, NONCE_BYTES));
  decipher.setAAD(boundTo(keys));
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  try {
    const body = bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES);
    const plain = Buffer.concat([decipher.update(body), decipher.final()]);
    return Array.from({ length: keys.epoch }, (_, i) =>
      Buffer.from(plain.subarray(i * MASTER_BYTES, (i + 1) * MASTER_BYTES)),
    );
  } catch {
    return undefined;
  }
}

function boundTo({ repositoryId, epoch }: EpochKeys): Buffer {
  return Buffer.from(`tidemark/1 older ${repositoryId} ${epoch}`);
}
