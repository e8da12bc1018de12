/**
 * The nodes that are well now, in the form that decisions need. The live cluster makes it from
 * membership and pings; a simulation makes its own.
 *
 * Invariant: `revision` grows with every change of any answer, so a result computed from answers
 * can be kept until then.
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
  /** True if there should be peers and none answers: this host is cut off, or alone. */
  readonly isCutOff: boolean;
  /**
   * Possible homes of a content: nodes that are live, give cache, don't drain, serve the content
   * and reach its origin, this node included. If no node reaches the origin, all that serve the
   * content. Sorted by id.
   */
  homesOf(contentId: string): readonly WeightedNode[];
  /**
   * The same for earlier views, newest first, at most 4: nodes that may hold chunks whose home
   * moved since.
   */
  formerHomesOf(contentId: string): readonly (readonly WeightedNode[])[];
  /** Live peers that serve the content, draining ones too. Never this node. */
  holdersOf(contentId: string): readonly Peer[];
  /** A live peer; `undefined` if it is not live. */
  peer(id: string): Peer | undefined;
  /**
   * Reports that a request to the peer failed with `ERR_PEER_GONE`, so that it is pinged now rather
   * than later.
   */
  suspect(id: string): void;
  onChange(listener: () => void): () => void;
}
