import type { KeyManagementServiceClient } from '@google-cloud/kms';
import { crc32c } from '../../../base/crc32c.ts';
import { faultError } from '../../../base/errors.ts';
import type { ServiceKey } from './secret.ts';
import { type KeyService, loadKeySdk, SERVICE_TIMEOUT_MS, type SealedFor, serviceError } from './service.ts';

type ClientOptions = NonNullable<ConstructorParameters<typeof KeyManagementServiceClient>[0]>;

/** Google Cloud KMS, by the name of a symmetric key; over REST, whatever proxies there are. */
export async function openGcpKms(key: ServiceKey): Promise<KeyService> {
  const sdk = await loadKeySdk(
    () => import('@google-cloud/kms'),
    '@google-cloud/kms',
    'keys in Google Cloud KMS',
  );
  const client = new sdk.KeyManagementServiceClient(clientOptions(key));
  const call = { timeout: SERVICE_TIMEOUT_MS };
  return {
    async seal(text, to) {
      const plaintext = Buffer.from(text);
      const [answer] = await client
        .encrypt({ name: key.key, ...withSum('plaintext', plaintext), ...bound(to) }, call)
        .catch(error => {
          throw explain(key, 'cloudkms.cryptoKeyVersions.useToEncrypt', error);
        });
      const sealed = bytesOf(answer.ciphertext);
      if (!answer.verifiedPlaintextCrc32c || !answer.verifiedAdditionalAuthenticatedDataCrc32c)
        throw garbled(key);
      checkSum(key, sealed, answer.ciphertextCrc32c);
      return { key: key.key, sealed };
    },
    async unseal(sealed, _key, to) {
      const request = { name: key.key, ...withSum('ciphertext', sealed), ...bound(to) };
      const answer = await client.decrypt(request, call).catch(error => {
        // Of ciphertexts of other keys, or for another place, it says no more than that they are invalid.
        if (codeOf(error) === INVALID_ARGUMENT) return undefined;
        throw explain(key, 'cloudkms.cryptoKeyVersions.useToDecrypt', error);
      });
      if (!answer) return undefined;
      const text = bytesOf(answer[0].plaintext);
      checkSum(key, text, answer[0].plaintextCrc32c);
      return text.toString('utf8');
    },
  };
}

/** Status codes of gRPC, which the SDK gives over REST too. */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const FAILED_PRECONDITION = 9;
const UNAUTHENTICATED = 16;

/**
 * What a `.env` beside the strategy sets counts as if the process had it. The endpoint is that of gcloud's property
 * api_endpoint_overrides/cloudkms.
 */
function clientOptions({ environment = {} }: ServiceKey): ClientOptions {
  const { GOOGLE_APPLICATION_CREDENTIALS: file, CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS: endpoint } =
    environment;
  // The SDK's chain of credentials looks at the process's variables alone.
  if (file) process.env.GOOGLE_APPLICATION_CREDENTIALS ??= file;
  const options: ClientOptions = { fallback: true };
  if (!endpoint) return options;
  const { protocol, hostname, port } = new URL(endpoint);
  return {
    ...options,
    protocol: protocol.slice(0, -1),
    apiEndpoint: hostname,
    ...(port ? { port: Number(port) } : {}),
  };
}

function bound({ repositoryId, slot }: SealedFor): object {
  return withSum('additionalAuthenticatedData', Buffer.from(`tidemark/1 key ${repositoryId} ${slot}`));
}

function withSum(name: string, bytes: Buffer): object {
  return { [name]: bytes, [`${name}Crc32c`]: { value: crc32c(bytes) } };
}

function bytesOf(value: Uint8Array | string | null | undefined): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'base64') : Buffer.from(value ?? []);
}

function checkSum(key: ServiceKey, bytes: Buffer, sum: { value?: unknown } | null | undefined): void {
  if (Number(sum?.value) !== crc32c(bytes)) throw garbled(key);
}

function garbled({ key }: ServiceKey): Error {
  return faultError(
    'KEY_SERVICE_GARBLED',
    `what passed between Google Cloud KMS and this machine for ${key} was changed on the way`,
    'run the command again; if it persists, look at the proxies in between',
  );
}

function codeOf(error: unknown): number | undefined {
  return (error as { code?: number }).code;
}

function explain(key: ServiceKey, permission: string, error: unknown): Error {
  const said = error instanceof Error ? error.message : '';
  switch (codeOf(error)) {
    case PERMISSION_DENIED:
      return serviceError('denied', key, permission, error);
    case NOT_FOUND:
      return serviceError('unknown', key, permission, error);
    case FAILED_PRECONDITION:
      return serviceError('disabled', key, permission, error);
    case UNAUTHENTICATED:
      return serviceError('credentials', key, permission, error);
  }
  const trouble = /default credentials|invalid_grant|ENOENT/i.test(said) ? 'credentials' : 'failed';
  return serviceError(trouble, key, permission, error);
}
