/** The disks that a client is told of when it asks for the exports there are. */
import type { KnownDisks } from '../knowledge/known-disks.js';
import type { DiskRecord } from '../protocol/record.js';

export interface ListedDisk {
  record: DiskRecord;
  isOwner: boolean;
  attachment: { count: number };
}

/**
 * One entry for each name, made as the caller goes on. Of two disks with one name the older one is
 * listed, unless this node owns the other.
 */
export function* listed(exports: readonly ListedDisk[], known: KnownDisks): Iterable<{ name: string; description: string }> {
  const names = new Set<string>();
  for (const { record, isOwner, attachment } of exports) {
    if ((!isOwner && attachment.count === 0) || names.has(record.name)) continue;
    names.add(record.name);
    yield { name: record.name, description: describe(record) };
  }
  for (const { record } of known.list()) {
    if (names.has(record.name) || known.byName(record.name)?.record !== record) continue;
    names.add(record.name);
    yield { name: record.name, description: describe(record) };
  }
}

/** Text for people. */
export function describe(record: DiskRecord): string {
  return record.image === undefined ? 'disk' : `disk over image ${record.image.name}`;
}
