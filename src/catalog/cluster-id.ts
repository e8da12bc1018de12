/**
 * Decides which contents the nodes of a cluster may share, under which id, and what vouches for
 * equal bytes.
 *
 * Invariant: two nodes that come to the same id serve the same bytes, as far as the guard goes.
 * Nodes share the container of a foreign format, and each node decodes it.
 */
import { type ContentSpec, containerSpec, contentId, hashOf, type ImageRecord } from './image-record.js';

/**
 * Guard of shared bytes, the best first.
 *
 * `manifest`: a digest of each chunk, checked. `etag`: the origin promises that equal ETags are
 * equal bytes. `digest`: digest of the whole file, taken when it was pinned. `trust`: the
 * operator's word. `none`: nothing.
 */
export type ShareGuard = 'manifest' | 'etag' | 'digest' | 'trust' | 'none';

export interface ClusterIdentity {
  /**
   * Id that is the same on all nodes, 32 hexadecimal digits; `undefined` if the content is not
   * shared.
   */
  id: string | undefined;
  /** The guard, whether it suffices or not. */
  guard: ShareGuard;
  /** Reason for or against sharing, and the remedy, for people. */
  reason: string;
}

export interface ShareRule {
  share?: ImageRecord['share'];
  /** `verified-only`: the cluster shares nothing without a manifest. */
  peers: 'strong' | 'verified-only';
}

export function clusterIdOf(spec: ContentSpec, policy: ShareRule): ClusterIdentity {
  const { share = 'auto', peers } = policy;
  const found = guardOf(containerSpec(spec), share);
  if (share === 'never') return { id: undefined, guard: found.guard, reason: 'not shared: the image says share = "never"' };
  if (peers === 'verified-only' && found.guard !== 'manifest') {
    return {
      id: undefined,
      guard: found.guard,
      reason: 'not shared: the cluster shares sealed images only (peers = "verified-only"); seal it',
    };
  }
  return found;
}

function guardOf(container: ContentSpec, share: ImageRecord['share']): ClusterIdentity {
  const { identity, sizeBytes, chunkSizeBytes, manifest } = container;
  if (manifest !== undefined) {
    return {
      id: hashOf({ manifest: manifest.digest, chunkSizeBytes }),
      guard: 'manifest',
      reason: 'each chunk is checked by the manifest',
    };
  }
  // A strong ETag: RFC 9110, 8.8.1.
  if (identity.kind === 'http' && identity.etag?.startsWith('"')) {
    return { id: contentId(container), guard: 'etag', reason: "the origin's strong ETag stands for equal bytes" };
  }
  if (identity.kind === 'file' && identity.digest !== undefined) {
    return {
      id: hashOf({ digest: identity.digest, sizeBytes, chunkSizeBytes }),
      guard: 'digest',
      reason: 'files of this size and digest are equal',
    };
  }
  if (share === 'trust')
    return { id: trustedId(container), guard: 'trust', reason: 'the image says share = "trust"; nothing else tells equal bytes' };
  return { id: undefined, guard: 'none', reason: `not shared: ${lackOf(identity)}; seal it, or say share = "trust"` };
}

/** Inodes differ between hosts; sizes and times do tell a copy from a later one. */
function trustedId(container: ContentSpec): string {
  const { identity } = container;
  if (identity.kind !== 'file') return contentId(container);
  const { kind, sizeBytes, mtimeNs } = identity;
  return hashOf({ ...container, identity: { kind, sizeBytes, mtimeNs } });
}

function lackOf(identity: ContentSpec['identity']): string {
  switch (identity.kind) {
    case 'http':
      return 'its server sends no strong ETag';
    case 'file':
      return 'its bytes were not digested when it was pinned';
    case 'nbd':
      return 'an NBD server says nothing about what it serves but its size';
  }
}
