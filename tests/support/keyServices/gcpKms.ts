import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  verify,
} from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { crc32c } from '../../../src/base/crc32c.ts';
import { type Answer, type Asked, type LoopbackService, serve } from './http.ts';

/**
 * As much of Google Cloud KMS's REST API as slots need: encrypt and decrypt with symmetric keys, additional authenticated
 * data and CRC-32C checks, for a service account that signs its own tokens.
 */
export class FakeGcpKms {
  readonly denied = new Set<string>();
  readonly disabled = new Set<string>();
  readonly asked: { action: string; key: string; aad: string }[] = [];
  /** Changes what the next answer carries, as a bad proxy would. */
  garble = false;
  readonly #keys = new Map<string, Buffer>();
  readonly #account = 'tidemark@test-project.iam.gserviceaccount.com';
  readonly #pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  #service!: LoopbackService;

  static async start(): Promise<FakeGcpKms> {
    const kms = new FakeGcpKms();
    kms.#service = await serve(asked => kms.#answer(asked));
    return kms;
  }

  addKey(name: string): string {
    const key = `projects/test-project/locations/europe-west1/keyRings/backups/cryptoKeys/${name}`;
    this.#keys.set(key, randomBytes(32));
    return key;
  }

  /** Writes the account's key file and gives the variables that name it. */
  async environment(file: string): Promise<Record<string, string>> {
    const credentials = {
      type: 'service_account',
      project_id: 'test-project',
      private_key_id: 'first',
      private_key: this.#pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      client_email: this.#account,
      token_uri: `${this.#service.origin}/token`,
    };
    await writeFile(file, JSON.stringify(credentials), { mode: 0o600 });
    return {
      GOOGLE_APPLICATION_CREDENTIALS: file,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: `${this.#service.origin}/`,
    };
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  #answer({ url, headers, body }: Asked): Answer {
    const [, key, action] = /^\/v1\/(.+):(encrypt|decrypt)$/.exec(decodeURIComponent(url.pathname)) ?? [];
    if (!key || !action) return failure(404, 'NOT_FOUND', `no method ${url.pathname}`);
    if (!this.#authorized(headers.authorization)) {
      return failure(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.');
    }
    const request = JSON.parse(body.toString()) as Record<string, string>;
    const aad = Buffer.from(request.additionalAuthenticatedData ?? '', 'base64');
    this.asked.push({ action, key, aad: aad.toString() });
    if (this.denied.has(action)) {
      const what = action === 'encrypt' ? 'useToEncrypt' : 'useToDecrypt';
      return failure(
        403,
        'PERMISSION_DENIED',
        `Permission 'cloudkms.cryptoKeyVersions.${what}' denied on ${key}`,
      );
    }
    const secret = this.#keys.get(key);
    if (!secret) return failure(404, 'NOT_FOUND', `CryptoKey ${key} not found.`);
    if (this.disabled.has(key)) return failure(400, 'FAILED_PRECONDITION', `${key} is not enabled`);
    for (const name of ['plaintext', 'ciphertext', 'additionalAuthenticatedData']) {
      const sum = request[`${name}Crc32c`];
      if (sum !== undefined && Number(sum) !== crc32c(Buffer.from(request[name] ?? '', 'base64')))
        return failure(400, 'INVALID_ARGUMENT', `${name}_crc32c does not match`);
    }
    return action === 'encrypt'
      ? this.#encrypt(key, secret, request, aad)
      : this.#decrypt(secret, request, aad);
  }

  #encrypt(name: string, key: Buffer, request: Record<string, string>, aad: Buffer): Answer {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(aad);
    const plain = Buffer.from(request.plaintext ?? '', 'base64');
    const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    return {
      status: 200,
      body: {
        name: `${name}/cryptoKeyVersions/1`,
        ciphertext: this.#passed(sealed).toString('base64'),
        ciphertextCrc32c: String(crc32c(sealed)),
        verifiedPlaintextCrc32c: request.plaintextCrc32c !== undefined,
        verifiedAdditionalAuthenticatedDataCrc32c: request.additionalAuthenticatedDataCrc32c !== undefined,
        protectionLevel: 1,
      },
    };
  }

  #decrypt(key: Buffer, request: Record<string, string>, aad: Buffer): Answer {
    const sealed = Buffer.from(request.ciphertext ?? '', 'base64');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
      decipher.setAAD(aad).setAuthTag(sealed.subarray(-16));
      const plain = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
      return {
        status: 200,
        body: {
          plaintext: this.#passed(plain).toString('base64'),
          plaintextCrc32c: String(crc32c(plain)),
          usedPrimary: true,
        },
      };
    } catch {
      return failure(400, 'INVALID_ARGUMENT', 'Decryption failed: the ciphertext is invalid.');
    }
  }

  #passed(bytes: Buffer): Buffer {
    if (!this.garble) return bytes;
    this.garble = false;
    const changed = Buffer.from(bytes);
    changed[changed.length >> 1]! ^= 1;
    return changed;
  }

  /** A token that the account signed itself (RS256), for this API, and that has not ended. */
  #authorized(header: string | undefined): boolean {
    const [head, claims, signature] = (header ?? '').replace(/^Bearer /, '').split('.');
    if (!head || !claims || !signature) return false;
    const publicKey = createPublicKey(this.#pair.publicKey.export({ type: 'spki', format: 'pem' }));
    const signed = verify(
      'sha256',
      Buffer.from(`${head}.${claims}`),
      publicKey,
      Buffer.from(signature, 'base64url'),
    );
    const { iss, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString());
    return signed && iss === this.#account && exp > Date.now() / 1000;
  }
}

function failure(code: number, status: string, message: string): Answer {
  return { status: code, body: { error: { code, status, message } } };
}
