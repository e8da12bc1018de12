/**
 * Who should be there: the addresses of the other nodes of this node's cluster. Who of them is well is learnt by asking them (see `../health`).
 *
 * Invariant: a membership that has lost its source (etcd away) keeps its last view; nothing that a guest does waits for it.
 */
import type { Closeable } from '../../base/lifecycle.js';
import type { NodeRecord } from '../node.js';

/** A node that should be there. A static list knows addresses alone; ids are learnt from the nodes. */
export interface Seed {
  /** HOST:PORT */
  address: string;
  id?: string | undefined;
}

export interface MembershipStatus {
  kind: 'none' | 'static' | 'etcd';
  /** `false`: the last known view is in force. */
  well: boolean;
  /** What is wrong, and what to do. */
  message?: string | undefined;
}

export interface Membership extends Closeable {
  /** Without this node. A new array whenever it changes. */
  readonly seeds: readonly Seed[];
  readonly status: MembershipStatus;
  /** Called after each change of `seeds`; the returned function ends that. */
  onChange(listener: () => void): () => void;
  /** This node has changed (drains, gives more): tell whoever wants to know. */
  announce(record: NodeRecord): void;
}
