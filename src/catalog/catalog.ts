/**
 * Which images exist: kept by this host's files alone, or by all nodes together in etcd.
 *
 * Invariant: a read never waits. It returns the last known state in this process's memory.
 */
import type { ImageRecord } from './image-record.js';

/** @param record `undefined` if the name is gone */
export type CatalogListener = (name: string, record: ImageRecord | undefined) => void;

export interface Catalog {
  /** Sorted by name. */
  list(): ImageRecord[];
  get(name: string): ImageRecord | undefined;
  /**
   * Adds or replaces a record; durable when it resolves. It replaces the record that `get` returned
   * at the call.
   *
   * @returns the catalog's record now: another node may have put the same content a moment earlier
   * @throws CopseError of a shared catalog: `ERR_ETCD_UNAVAILABLE`, `ERR_ETCD_REFUSED`;
   * `ERR_IMAGE_EXISTS`, `ERR_IMAGE_CONFLICT` if another node was quicker
   */
  put(record: ImageRecord): Promise<ImageRecord>;
  /**
   * Removes a record; durable when it resolves. A name that does not exist counts as removed.
   * @throws as `put` does
   */
  remove(name: string): Promise<void>;
  /**
   * Calls back after each change by another node, and perhaps after own ones. The returned function
   * ends that.
   */
  onChange(listener: CatalogListener): () => void;
}
