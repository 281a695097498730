/** Keys in services that encrypt with them, as strategies and command lines write them. */

export type KeyServiceName = 'aws-kms' | 'gcp-kms' | 'azure-kv';

export interface ServiceKeyAddress {
  service: KeyServiceName;
  /** As the service calls it. */
  key: string;
}

const FORMS: readonly { scheme: string; service: KeyServiceName; pattern: RegExp }[] = [
  {
    scheme: 'aws',
    service: 'aws-kms',
    pattern: /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)\/[A-Za-z0-9/_-]+$/,
  },
  {
    scheme: 'gcp',
    service: 'gcp-kms',
    pattern: /^projects\/[^/\s]+\/locations\/[^/\s]+\/keyRings\/[^/\s]+\/cryptoKeys\/[^/\s]+$/,
  },
  {
    scheme: 'azure',
    service: 'azure-kv',
    pattern:
      /^(https:\/\/[^/\s]+|http:\/\/(localhost|127\.\d+\.\d+\.\d+)(:\d+)?)\/keys\/[0-9A-Za-z-]+(\/[0-9A-Za-z]+)?$/,
  },
];

/** What may stand there, for messages. */
export const SERVICE_KEY_FORMS =
  'aws:arn:aws:kms:REGION:ACCOUNT:key/ID, gcp:projects/P/locations/L/keyRings/R/cryptoKeys/K or azure:https://VAULT.vault.azure.net/keys/NAME';

/** Undefined where the text is none of the forms. */
export function parseServiceKey(text: string): ServiceKeyAddress | undefined {
  for (const { scheme, service, pattern } of FORMS) {
    const key = text.startsWith(`${scheme}:`) ? text.slice(scheme.length + 1) : undefined;
    if (key !== undefined && pattern.test(key)) return { service, key };
  }
  return undefined;
}

/** As it was written: `aws:arn:…`. */
export function formatServiceKey({ service, key }: ServiceKeyAddress): string {
  return `${FORMS.find(each => each.service === service)!.scheme}:${key}`;
}
