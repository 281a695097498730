import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { type Answer, type Asked, type LoopbackService, serve } from './http.ts';

/**
 * As much of AWS KMS as slots need: Encrypt and Decrypt with symmetric keys, as the API reference gives them (JSON 1.1,
 * signatures of version 4). Ciphertexts are bound to the key and the encryption context.
 */
export class FakeAwsKms {
  readonly accessKeyId = `AKIDTEST${randomBytes(4).toString('hex').toUpperCase()}`;
  readonly secretAccessKey = randomBytes(20).toString('hex');
  /** `kms:Encrypt`, `kms:Decrypt`. */
  readonly denied = new Set<string>();
  readonly disabled = new Set<string>();
  readonly asked: { action: string; keyId: string; context: object }[] = [];
  readonly #keys = new Map<string, Buffer>();
  readonly #aliases = new Map<string, string>();
  #service!: LoopbackService;

  static async start(): Promise<FakeAwsKms> {
    const kms = new FakeAwsKms();
    kms.#service = await serve(asked => kms.#answer(asked));
    return kms;
  }

  /** The ARN of a new key. */
  addKey(region = 'eu-west-1'): string {
    const arn = `arn:aws:kms:${region}:111122223333:key/${crypto.randomUUID()}`;
    this.#keys.set(arn, randomBytes(32));
    return arn;
  }

  addAlias(name: string, arn: string): string {
    const alias = arn.replace(/key\/.*/, `alias/${name}`);
    this.#aliases.set(alias, arn);
    return alias;
  }

  /** As a user's `.env` would have it. */
  get environment(): Record<string, string> {
    return {
      AWS_ACCESS_KEY_ID: this.accessKeyId,
      AWS_SECRET_ACCESS_KEY: this.secretAccessKey,
      AWS_ENDPOINT_URL_KMS: this.#service.origin,
    };
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  #answer(asked: Asked): Answer {
    const action = String(asked.headers['x-amz-target']).replace('TrentService.', '');
    const unsigned = this.#unsigned(asked);
    if (unsigned) return failure(unsigned, 'the security token or signature is invalid');
    const request = JSON.parse(asked.body.toString()) as Record<string, unknown>;
    const keyId = this.#aliases.get(String(request.KeyId)) ?? String(request.KeyId);
    const context = (request.EncryptionContext ?? {}) as Record<string, string>;
    this.asked.push({ action, keyId, context });
    if (this.denied.has(`kms:${action}`)) {
      return failure('AccessDeniedException', `User is not authorized to perform: kms:${action} on ${keyId}`);
    }
    const key = this.#keys.get(keyId);
    if (!key) return failure('NotFoundException', `Key '${keyId}' does not exist`);
    if (this.disabled.has(keyId)) return failure('DisabledException', `${keyId} is disabled.`);
    if (action === 'Encrypt') return this.#encrypt(keyId, key, request, context);
    if (action === 'Decrypt') return this.#decrypt(keyId, key, request, context);
    return failure('UnknownOperationException', action);
  }

  #encrypt(keyId: string, key: Buffer, request: Record<string, unknown>, context: object): Answer {
    const plain = Buffer.from(String(request.Plaintext), 'base64');
    if (plain.length > 4096) return failure('ValidationException', 'Plaintext has more than 4096 bytes');
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(contextBytes(context));
    const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    const name = Buffer.from(keyId);
    const blob = Buffer.concat([Buffer.of(name.length), name, nonce, sealed]);
    return { status: 200, body: { CiphertextBlob: blob.toString('base64'), KeyId: keyId } };
  }

  #decrypt(keyId: string, key: Buffer, request: Record<string, unknown>, context: object): Answer {
    const blob = Buffer.from(String(request.CiphertextBlob), 'base64');
    const nameEnd = 1 + (blob[0] ?? 0);
    if (blob.length < nameEnd + 28) return failure('InvalidCiphertextException', '');
    if (blob.toString('utf8', 1, nameEnd) !== keyId) {
      return failure(
        'IncorrectKeyException',
        'The key ID in the request does not identify a CMK that can perform this',
      );
    }
    const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(nameEnd, nameEnd + 12));
    decipher.setAAD(contextBytes(context)).setAuthTag(blob.subarray(-16));
    try {
      const plain = Buffer.concat([decipher.update(blob.subarray(nameEnd + 12, -16)), decipher.final()]);
      return { status: 200, body: { Plaintext: plain.toString('base64'), KeyId: keyId } };
    } catch {
      return failure('InvalidCiphertextException', '');
    }
  }

  /** What is wrong with the request's signature (Signature Version 4), if anything is. */
  #unsigned({ method, url, headers, body }: Asked): string | undefined {
    const form =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8}\/([^/]+)\/kms\/aws4_request), SignedHeaders=([^,]+), Signature=(\w+)$/;
    const [, id, scope, region, names, signature] = form.exec(headers.authorization ?? '') ?? [];
    if (!id || !scope || !region || !names) return 'MissingAuthenticationTokenException';
    if (id !== this.accessKeyId) return 'UnrecognizedClientException';
    const sha = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
    const signed = names.split(';').map(name => `${name}:${String(headers[name]).trim()}\n`);
    const request = [method, url.pathname, '', signed.join(''), names, sha(body)].join('\n');
    const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha(request)].join('\n');
    const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
    const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${this.secretAccessKey}`);
    return hmac(key, text).toString('hex') === signature ? undefined : 'InvalidSignatureException';
  }
}

function contextBytes(context: object): Buffer {
  return Buffer.from(JSON.stringify(Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1))));
}

function failure(type: string, message: string): Answer {
  return { status: 400, headers: { 'x-amzn-errortype': type }, body: { __type: type, message } };
}
