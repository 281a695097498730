import { createVerify, generateKeyPairSync, randomBytes } from 'node:crypto';

const LIFETIME_SECONDS = 3600;
const AUDIENCE =
  '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/tests/providers/here';

/**
 * Who may ask, and the access tokens that they get: a service account for signed assertions
 * (https://developers.google.com/identity/protocols/oauth2/service-account#httprest) and a workload identity for tokens of
 * its own provider (https://docs.cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token).
 */
export class Tokens {
  readonly email = 'tidemark@test-project.iam.gserviceaccount.com';
  readonly #keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  readonly #given = new Set<string>();
  /** What the provider of the workload identity gives. */
  readonly subjectToken = randomBytes(24).toString('base64url');
  /** How many access tokens were given. */
  get count(): number {
    return this.#given.size;
  }

  /** The key file as the console makes it; Google's library sends its assertions to Google, whatever stands in it. */
  serviceAccount(): string {
    return JSON.stringify({
      type: 'service_account',
      project_id: 'test-project',
      private_key_id: 'test',
      private_key: this.#keys.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      client_email: this.email,
      client_id: '1',
      token_uri: 'https://oauth2.googleapis.com/token',
    });
  }

  /** The configuration that `gcloud iam workload-identity-pools create-cred-config` makes. */
  workloadIdentity(endpoint: string): string {
    return JSON.stringify({
      type: 'external_account',
      audience: AUDIENCE,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${endpoint}/v1/token`,
      credential_source: { url: `${endpoint}/subject` },
    });
  }

  /** The answer to a form that was posted to a token server. */
  answer(form: string): { status: number; body: object } {
    const fields = new URLSearchParams(form);
    const exchange = fields.get('grant_type') === 'urn:ietf:params:oauth:grant-type:token-exchange';
    const wrong = exchange ? this.#faultOfExchange(fields) : this.#faultOfAssertion(fields);
    if (wrong) return { status: 400, body: { error: 'invalid_grant', error_description: wrong } };
    const token = randomBytes(24).toString('base64url');
    this.#given.add(token);
    const body = { access_token: token, token_type: 'Bearer', expires_in: LIFETIME_SECONDS };
    const issued = { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' };
    return { status: 200, body: exchange ? { ...body, ...issued } : body };
  }

  accepts(authorization: string | undefined): boolean {
    return this.#given.has(/^Bearer (.+)$/.exec(authorization ?? '')?.[1] ?? '');
  }

  /** No token that was given is accepted any more. */
  revoke(): void {
    this.#given.clear();
  }

  #faultOfExchange(fields: URLSearchParams): string | undefined {
    if (fields.get('audience') !== AUDIENCE) return 'Invalid value for "audience".';
    if (fields.get('subject_token') !== this.subjectToken) return 'Invalid subject token.';
    return isStorageScope(fields.get('scope')) ? undefined : 'Invalid scope.';
  }

  #faultOfAssertion(fields: URLSearchParams): string | undefined {
    if (fields.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer')
      return 'Unknown grant type.';
    const [head, claims, signature] = (fields.get('assertion') ?? '').split('.');
    if (!head || !claims || !signature) return 'Not an assertion.';
    const verifier = createVerify('RSA-SHA256').update(`${head}.${claims}`);
    if (!verifier.verify(this.#keys.publicKey, signature, 'base64url')) return 'Invalid JWT Signature.';
    const { iss, scope, aud, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString());
    if (iss !== this.email) return 'Invalid grant: account not found';
    if (aud !== 'https://oauth2.googleapis.com/token') return 'Invalid JWT: Failed audience check.';
    if (exp * 1000 < Date.now()) return 'Invalid JWT: Token must be a short-lived token.';
    return isStorageScope(scope) ? undefined : 'Empty or missing scope not allowed.';
  }
}

function isStorageScope(scope: unknown): boolean {
  return /auth\/(devstorage\.(full_control|read_write)|cloud-platform)\b/.test(String(scope));
}
