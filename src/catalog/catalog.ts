/**
 * Which images exist, whoever keeps them: this host's files alone, or all nodes together in etcd.
 *
 * Invariant: reading never waits; what is read is the last known state, in this process's memory.
 */
import type { ImageRecord } from './image-record.js';

/** @param record `undefined`: the name is gone */
export type CatalogListener = (name: string, record: ImageRecord | undefined) => void;

export interface Catalog {
  /** Sorted by name. */
  list(): ImageRecord[];
  get(name: string): ImageRecord | undefined;
  /**
   * Adds or replaces; durable when it resolves. What it replaces is what `get` said when it was called.
   *
   * @returns what the catalog has now: another node may have put the same content a moment earlier
   * @throws CopseError, of a shared catalog: `ERR_ETCD_UNAVAILABLE`, `ERR_ETCD_REFUSED`; `ERR_IMAGE_EXISTS`, `ERR_IMAGE_CONFLICT` when another node was quicker
   */
  put(record: ImageRecord): Promise<ImageRecord>;
  /** Durable when it resolves; a name that does not exist is removed already. @throws as `put` does */
  remove(name: string): Promise<void>;
  /** Called after each change that another node made, and perhaps after one's own. The returned function ends that. */
  onChange(listener: CatalogListener): () => void;
}
