import {
  constants,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { type Answer, type Asked, type LoopbackService, serve } from './http.ts';

/**
 * As much of Azure Key Vault's REST API as slots need: get, wrapkey and unwrapkey with RSA keys that have versions, behind
 * the challenge that a vault answers first; and the local endpoint of managed identities, which gives the tokens.
 */
export class FakeKeyVault {
  readonly denied = new Set<string>();
  readonly disabled = new Set<string>();
  readonly asked: string[] = [];
  /** By name, then by version, oldest first. */
  readonly #keys = new Map<string, Map<string, { publicKey: KeyObject; privateKey: KeyObject }>>();
  readonly #identity = randomBytes(16).toString('hex');
  readonly #token = randomBytes(24).toString('base64url');
  #service!: LoopbackService;

  static async start(): Promise<FakeKeyVault> {
    const vault = new FakeKeyVault();
    vault.#service = await serve(asked => vault.#answer(asked));
    return vault;
  }

  /** A new key, or a new version of one that is there; the URL of the key, without the version. */
  addKey(name: string): string {
    const versions = this.#keys.get(name) ?? new Map();
    versions.set(randomBytes(16).toString('hex'), generateKeyPairSync('rsa', { modulusLength: 2048 }));
    this.#keys.set(name, versions);
    return `${this.#service.origin}/keys/${name}`;
  }

  /** What a machine with a managed identity has in its environment. */
  get environment(): Record<string, string> {
    return { IDENTITY_ENDPOINT: `${this.#service.origin}/msi/token`, IDENTITY_HEADER: this.#identity };
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  #answer({ method, url, headers, body }: Asked): Answer {
    if (url.pathname === '/msi/token') return this.#tokenFor(headers['x-identity-header'], url);
    const [, name, version, action] =
      /^\/keys\/([^/]+)(?:\/(\w+))?(?:\/(wrapkey|unwrapkey))?\/?$/.exec(url.pathname) ?? [];
    if (headers.authorization !== `Bearer ${this.#token}`) {
      const challenge =
        'Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://vault.azure.net"';
      const body = {
        error: { code: 'Unauthorized', message: 'AKV10000: Request is missing a Bearer or PoP token.' },
      };
      return { status: 401, headers: { 'www-authenticate': challenge }, body };
    }
    const done = action ?? 'get';
    this.asked.push(done);
    if (this.denied.has(done))
      return failure(403, 'Forbidden', `The user does not have keys ${done} permission`);
    const versions = this.#keys.get(name ?? '');
    const id = version ?? [...(versions?.keys() ?? [])].at(-1);
    const pair = versions?.get(id ?? '');
    if (!name || !id || !pair)
      return failure(404, 'KeyNotFound', `A key with (name/id) ${name} was not found`);
    const kid = `${this.#service.origin}/keys/${name}/${id}`;
    if (this.disabled.has(name) && action)
      return failure(403, 'Forbidden', 'Operation is not allowed on a disabled key', 'KeyDisabled');
    if (method === 'GET') {
      const { n, e } = pair.publicKey.export({ format: 'jwk' });
      return {
        status: 200,
        body: {
          key: { kid, kty: 'RSA', key_ops: ['wrapKey', 'unwrapKey'], n, e },
          attributes: { enabled: true },
        },
      };
    }
    return wrap(pair, kid, done, JSON.parse(body.toString()));
  }

  #tokenFor(identity: string | string[] | undefined, url: URL): Answer {
    if (identity !== this.#identity || url.searchParams.get('resource') !== 'https://vault.azure.net') {
      return failure(401, 'unauthorized', 'no such identity');
    }
    const expires = Math.floor(Date.now() / 1000) + 3600;
    return {
      status: 200,
      body: {
        access_token: this.#token,
        expires_on: String(expires),
        resource: 'https://vault.azure.net',
        token_type: 'Bearer',
      },
    };
  }
}

function wrap(
  { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject },
  kid: string,
  action: string,
  { alg, value }: { alg: string; value: string },
): Answer {
  if (alg !== 'RSA-OAEP-256') return failure(400, 'BadParameter', `${alg} is not supported here`);
  const options = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  const bytes = Buffer.from(value, 'base64url');
  try {
    const result =
      action === 'wrapkey'
        ? publicEncrypt({ key: publicKey, ...options }, bytes)
        : privateDecrypt({ key: privateKey, ...options }, bytes);
    return { status: 200, body: { kid, value: result.toString('base64url') } };
  } catch {
    return failure(400, 'BadParameter', 'The parameter is incorrect.');
  }
}

function failure(status: number, code: string, message: string, inner?: string): Answer {
  return { status, body: { error: { code, message, ...(inner ? { innererror: { code: inner } } : {}) } } };
}
