import { type LogicalFacts, logicalFacts } from '../capture/logical/part.ts';
import type { ListRef } from '../repository/format/chunkList.ts';
import type { Manifest, Streams } from '../repository/manifest.ts';

/** The manifest of a snapshot that a logical capture made. */
export type LogicalManifest = Omit<Manifest, 'scope' | 'source' | 'streams'> &
  LogicalFacts & { streams: Streams & { archive: ListRef; globals: ListRef } };

/** @throws TidemarkError FORMAT_TOO_NEW where another kind of capture made it. */
export function logicalManifest(manifest: Manifest): LogicalManifest {
  return { ...manifest, ...logicalFacts(manifest) } as LogicalManifest;
}
