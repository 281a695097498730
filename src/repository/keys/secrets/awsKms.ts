import type { KMSClientConfig } from '@aws-sdk/client-kms';
import { usageError } from '../../../base/errors.ts';
import type { ServiceKey } from './secret.ts';
import { type KeyService, loadKeySdk, SERVICE_TIMEOUT_MS, type SealedFor, serviceError } from './service.ts';

/** Of ciphertexts that were made with another key or for another place: not this slot's. */
const NOT_OURS = ['IncorrectKeyException', 'InvalidCiphertextException'];
const DISABLED = ['DisabledException', 'KMSInvalidStateException', 'KeyUnavailableException'];
const CREDENTIALS = [
  'CredentialsProviderError',
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'InvalidClientTokenId',
  'ExpiredTokenException',
  'MissingAuthenticationTokenException',
  'IncompleteSignatureException',
];

/** AWS KMS, by the ARN of a symmetric key or of its alias; the region is the ARN's. */
export async function openAwsKms(key: ServiceKey): Promise<KeyService> {
  const sdk = await loadKeySdk(() => import('@aws-sdk/client-kms'), '@aws-sdk/client-kms', 'keys in AWS KMS');
  const client = new sdk.KMSClient(clientConfig(key));
  const context = ({ repositoryId, slot }: SealedFor) => ({
    'tidemark-repository': repositoryId,
    'tidemark-slot': slot,
  });
  return {
    async seal(text, to) {
      const { CiphertextBlob, KeyId } = await client
        .send(
          new sdk.EncryptCommand({
            KeyId: key.key,
            Plaintext: Buffer.from(text),
            EncryptionContext: context(to),
          }),
        )
        .catch(error => {
          throw explain(key, 'kms:Encrypt', error);
        });
      return { key: KeyId ?? key.key, sealed: Buffer.from(CiphertextBlob!) };
    },
    async unseal(sealed, _key, to) {
      try {
        const { Plaintext } = await client.send(
          new sdk.DecryptCommand({
            KeyId: key.key,
            CiphertextBlob: sealed,
            EncryptionContext: context(to),
          }),
        );
        return Buffer.from(Plaintext!).toString('utf8');
      } catch (error) {
        if (error instanceof Error && NOT_OURS.includes(error.name)) return undefined;
        throw explain(key, 'kms:Decrypt', error);
      }
    },
  };
}

/** What a `.env` beside the strategy sets counts as if the process had it; all else is the SDK's own chain. */
function clientConfig({ key, environment = {} }: ServiceKey): KMSClientConfig {
  const region = key.split(':')[3];
  if (!region) throw usageError('KEY_URI', `${key} is no ARN of a key`, 'arn:aws:kms:REGION:ACCOUNT:key/ID');
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = environment;
  const endpoint = environment.AWS_ENDPOINT_URL_KMS ?? environment.AWS_ENDPOINT_URL;
  return {
    region,
    ...(endpoint ? { endpoint } : {}),
    ...(id && secret
      ? { credentials: { accessKeyId: id, secretAccessKey: secret, sessionToken: token } }
      : {}),
    requestHandler: { connectionTimeout: SERVICE_TIMEOUT_MS / 2, requestTimeout: SERVICE_TIMEOUT_MS },
  };
}

function explain(key: ServiceKey, permission: string, error: unknown): Error {
  const name = error instanceof Error ? error.name : '';
  const trouble =
    name === 'AccessDeniedException'
      ? 'denied'
      : name === 'NotFoundException'
        ? 'unknown'
        : DISABLED.includes(name)
          ? 'disabled'
          : CREDENTIALS.includes(name)
            ? 'credentials'
            : 'failed';
  return serviceError(trouble, key, permission, error);
}
