/** Services that encrypt and decrypt with a key that never leaves them, by the kind of their slots. */
export const SERVICES = ['aws-kms', 'gcp-kms', 'azure-kv'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** A key in such a service. */
export interface ServiceKey {
  service: ServiceName;
  /** As the service calls it: an ARN, `projects/…/cryptoKeys/…`, `https://vault/keys/name`. */
  key: string;
  /** Variables that the standard chain of credentials reads too, from wherever they come; never to be printed. */
  environment?: Readonly<Record<string, string | undefined>>;
}

/** What opens a repository. `where` names its source in errors; the texts are secret. */
export type Secret =
  | { kind: 'key'; text: string; where: string }
  | { kind: 'passphrase'; text: string; where: string }
  /** What an age identity file holds. */
  | { kind: 'age'; text: string; where: string }
  | ({ kind: 'service'; where: string } & ServiceKey);

/** Whom a slot is made for: a secret, or what is known of one that others have. */
export type SlotOwner =
  | Extract<Secret, { kind: 'key' | 'passphrase' | 'service' }>
  | { kind: 'age'; recipients: readonly string[] };
