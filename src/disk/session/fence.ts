/**
 * Finds the fence that keeps a client from writing to a disk.
 *
 * Where /proc hides processes, a client can't be told from one that an earlier process of this daemon displaced. Such a fence keeps
 * every client out that could be its own.
 */
import { isHiddenClient, isProcess, isSameClient } from '../../server/client-identity.js';
import type { DiskNotes, Fence } from './notes.js';

export interface FoundFence {
  fence: Fence;
  /** True if the fence is the client's own for sure. What it has in its caches may be old, so it does not read either. */
  forReads: boolean;
  /** Completes "a client that …". */
  why: string;
}

/** @param key `ClientIdentity.key` */
export function fenceOf(notes: DiskNotes, uuid: string, key: string): FoundFence | undefined {
  const own = notes.fences(uuid).find(({ client }) => isSameClient(client, key));
  if (own !== undefined) return { fence: own, forReads: isProcess(key), why: 'was displaced from this disk' };
  if (!isHiddenClient(key)) return undefined;
  const restored = notes.restoredFences(uuid).find(({ client }) => isProcess(client));
  return restored && { fence: restored, forReads: false, why: 'can not be told from one that was displaced before this daemon started' };
}
