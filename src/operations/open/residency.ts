import { usageError } from '../../base/errors.ts';
import type { Storage } from '../../storage/storage.ts';
import type { RepositorySpec } from '../../strategy/spec.ts';

/**
 * Refuses a storage that lies elsewhere than `residency` allows, or that does not say where it lies.
 *
 * @throws TidemarkError RESIDENCY
 */
export async function requireResidency(storage: Storage, spec: RepositorySpec): Promise<void> {
  if (spec.residency === null) return;
  const region = await storage.region?.();
  const allowed = spec.residency.join(', ');
  if (region === undefined) {
    throw usageError(
      'RESIDENCY',
      `${storage.place} does not say where it lies, and repository ${spec.name} may only lie in ${allowed}`,
      'use a storage that names its region, or remove residency if you know where the bytes are',
    );
  }
  if (spec.residency.some(place => liesIn(region, place))) return;
  throw usageError(
    'RESIDENCY',
    `${storage.place} lies in ${region}, and repository ${spec.name} may only lie in ${allowed}`,
    'use a bucket there, or allow that region under residency',
  );
}

/**
 * Whether a region is one of an area, or the place itself. Areas are of law, not of the map: London and Zurich are in no
 * `eu`. Regions by the names that AWS, Google, Azure, DigitalOcean and Hetzner publish; a name that is not known lies in no
 * area.
 */
export function liesIn(region: string, place: string): boolean {
  const name = region.toLowerCase();
  const wanted = place.toLowerCase();
  return name === wanted || (AREAS[wanted]?.test(name) ?? false);
}

const AREAS: Record<string, RegExp> = {
  eu: /^(eu|eur4|eu-(central-1|west-1|west-3|north-1|south-1|south-2)|eusc-.+|europe-(north[12]|central2|southwest1|west1|west3|west4|west8|west9|west10|west12)|(west|north)europe|germany(north|westcentral)|france(central|south)|sweden(central|south)|polandcentral|italynorth|spaincentral|austriaeast|belgiumcentral|denmarkeast|ams[23]|fra1|fsn1|nbg1|hel1)$/,
  uk: /^(eu-west-2|europe-west2|uk(south|west)|lon1)$/,
  ch: /^(eu-central-2|europe-west6|switzerland(north|west))$/,
  us: /^(us|nam4|us-.+|(east|west|central|northcentral|southcentral|westcentral)us[23]?|nyc[123]|sfo[123]|ash|hil)$/,
  ca: /^(ca-.+|northamerica-northeast[12]|canada(central|east)|tor1)$/,
  ap: /^(asia|ap-.+|asia-.+|australia-.+|australia(east|southeast|central2?)|japan(east|west)|korea(central|south)|(central|south|west)india|(east|southeast)asia|sgp1|blr1|syd1|sin)$/,
};
