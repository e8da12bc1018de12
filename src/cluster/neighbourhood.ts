/**
 * Who is well just now, as the decisions see it. Made by the live cluster from membership and pings; a simulation makes its own.
 *
 * Invariant: `revision` grows with every change of any answer, so that what is computed from an answer can be kept until then.
 */
import type { Peer } from './peer.js';

/** A possible home and its weight: donated bytes, positive. */
export interface WeightedNode {
  id: string;
  weight: number;
}

export interface Neighbourhood {
  readonly selfId: string;
  readonly revision: number;
  /** Peers that should be there but none of which answers: this host is cut off, or alone. */
  readonly isCutOff: boolean;
  /**
   * Who can be home for a content: live, giving, not draining, serving it, and reaching its origin; this node included when it can. When nobody reaches the
   * origin, all that serve it. Sorted by id.
   */
  homesOf(contentId: string): readonly WeightedNode[];
  /** The same of the views before the present one, newest first, at most 4: who may hold what moved since. */
  formerHomesOf(contentId: string): readonly (readonly WeightedNode[])[];
  /** Live peers that serve the content, draining ones too. Never this node. */
  holdersOf(contentId: string): readonly Peer[];
  /** A peer that is live; `undefined` when it is not. */
  peer(id: string): Peer | undefined;
  /** A request to the peer failed as `ERR_PEER_GONE`: ping it now rather than later. */
  suspect(id: string): void;
  onChange(listener: () => void): () => void;
}
