import type { TokenCredential } from '@azure/identity';
import type { KeyClientOptions } from '@azure/keyvault-keys';
import { usageError } from '../../../base/errors.ts';
import type { ServiceKey } from './secret.ts';
import { type KeyService, loadKeySdk, serviceError } from './service.ts';

const ALGORITHM = 'RSA-OAEP-256';
/** `https://vault/keys/name` or with a version behind; http is for emulators on this machine. */
const KEY_URL = /^(https?:\/\/[^/]+)\/keys\/([^/]+)(?:\/([0-9a-zA-Z]+))?$/;
const LOOPBACK = /^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|$)/;

/**
 * The SDK wants TLS, and the vault's tokens to be for the vault's own domain; an emulator on this machine has neither.
 */
const FOR_EMULATORS: KeyClientOptions = {
  disableChallengeResourceVerification: true,
  additionalPolicies: [
    {
      position: 'perCall',
      policy: {
        name: 'loopback',
        sendRequest(request, next) {
          request.allowInsecureConnection = true;
          return next(request);
        },
      },
    },
  ],
};

/** Azure Key Vault or Managed HSM, by the URL of an RSA key. It wraps without a context. */
export async function openAzureKeyVault(key: ServiceKey): Promise<KeyService> {
  const { vault, name, version } = parseKeyUrl(key.key);
  const needed = 'keys in Azure Key Vault';
  const sdk = await loadKeySdk(() => import('@azure/keyvault-keys'), '@azure/keyvault-keys', needed);
  const credential = await credentialOf(key, needed);
  const options = { retryOptions: { maxRetries: 3 }, ...(LOOPBACK.test(vault) ? FOR_EMULATORS : {}) };
  const cryptography = (id: string) => new sdk.CryptographyClient(id, credential, options);
  return {
    async seal(text) {
      try {
        // Which version it is has to be known: only that one can unwrap.
        const { id } = await new sdk.KeyClient(vault, credential, options).getKey(name, { version });
        const { result } = await cryptography(id!).wrapKey(ALGORITHM, Buffer.from(text));
        return { key: id!, sealed: Buffer.from(result) };
      } catch (error) {
        throw explain(key, 'keys get and wrapKey', error);
      }
    },
    async unseal(sealed, versioned) {
      const sealedBy = KEY_URL.exec(versioned);
      // The version is the slot's word, the vault and the key are not: a restored vault has the same versions.
      if (sealedBy?.[2] !== name || !sealedBy[3]) return undefined;
      try {
        const id = `${vault}/keys/${name}/${sealedBy[3]}`;
        const { result } = await cryptography(id).unwrapKey(ALGORITHM, sealed);
        return Buffer.from(result).toString('utf8');
      } catch (error) {
        if (statusOf(error) === 400) return undefined;
        throw explain(key, 'keys unwrapKey', error);
      }
    },
  };
}

function parseKeyUrl(url: string): { vault: string; name: string; version: string | undefined } {
  const [, vault, name, version] = KEY_URL.exec(url) ?? [];
  if (vault && name && (vault.startsWith('https:') || LOOPBACK.test(vault))) return { vault, name, version };
  throw usageError('KEY_URI', `${url} is no URL of a key`, 'https://VAULT.vault.azure.net/keys/NAME');
}

/** What a `.env` beside the strategy sets counts as if the process had it; all else is the SDK's own chain. */
async function credentialOf({ environment = {} }: ServiceKey, needed: string): Promise<TokenCredential> {
  const sdk = await loadKeySdk(() => import('@azure/identity'), '@azure/identity', needed);
  const { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client, AZURE_CLIENT_SECRET: secret } = environment;
  return tenant && client && secret
    ? new sdk.ClientSecretCredential(tenant, client, secret)
    : new sdk.DefaultAzureCredential();
}

function statusOf(error: unknown): number | undefined {
  return (error as { statusCode?: number }).statusCode;
}

function explain(key: ServiceKey, permission: string, error: unknown): Error {
  const { name } = error as { name?: string };
  const credentials = ['CredentialUnavailableError', 'AuthenticationError', 'AggregateAuthenticationError'];
  if (credentials.includes(name ?? '') || statusOf(error) === 401)
    return serviceError('credentials', key, permission, error);
  if (statusOf(error) === 404) return serviceError('unknown', key, permission, error);
  if (statusOf(error) !== 403) return serviceError('failed', key, permission, error);
  // Of a key that can't be used now it says no more than Forbidden, and the reason further inside.
  const said = JSON.stringify((error as { details?: unknown }).details ?? {});
  const disabled = /"Key(Disabled|NotYetValid|Expired)"/.test(said);
  return serviceError(disabled ? 'disabled' : 'denied', key, permission, error);
}
