/**
 * The expected members: addresses of the other nodes of this node's cluster. Pings tell which of
 * them are well (see `../health`).
 *
 * Invariant: a membership that has lost its source (etcd away) keeps its last view. No request of a
 * guest waits for it.
 */
import type { Closeable } from '../../base/lifecycle.js';
import type { NodeRecord } from '../node.js';

/** An expected node. A static list knows addresses alone; nodes tell their ids themselves. */
export interface Seed {
  /** HOST:PORT */
  address: string;
  id?: string | undefined;
}

export interface MembershipStatus {
  kind: 'none' | 'static' | 'etcd';
  /** False while the last known view is in force. */
  well: boolean;
  /** The fault, and the remedy. */
  message?: string | undefined;
}

export interface Membership extends Closeable {
  /** The nodes without this one. A new array after each change. */
  readonly seeds: readonly Seed[];
  readonly status: MembershipStatus;
  /** Calls back after each change of `seeds`; the returned function ends that. */
  onChange(listener: () => void): () => void;
  /** Publishes a change of this node (it drains, it gives more). */
  announce(record: NodeRecord): void;
}
