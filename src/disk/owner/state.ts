/**
 * The words of the machine of ownership: what it knows, what happens to it, and what it has done.
 *
 * All of them are plain data, so a state can be copied, compared and explored.
 */
import type { Handover, HandoverReason } from '../protocol/call.js';
import type { Proof } from '../protocol/chain.js';
import type { Force, NodeRef, OwnerState } from '../protocol/record.js';

/** The part of `owner.json` that says who owns the disk. */
export type Ownership = Pick<OwnerState, 'state' | 'epoch' | 'to' | 'forced' | 'by'>;

/** The durable part. Each step reads it from the folder and the notes; no second place keeps it. */
export interface Facts {
  /** Ownership as the open files have it; absent: there are none, or they are not open. */
  readonly file: Ownership | undefined;
  /** True if files of the disk are on this host, open or not. */
  readonly hasFiles: boolean;
  /** Last epoch under which this node owned the disk; 0: it never did. */
  readonly heldEpoch: number;
  /** Greatest epoch that this node has promised never to accept; 0: none. */
  readonly refusedEpoch: number;
  /** Force that a member proved to this node. */
  readonly force: Force | undefined;
  /** Owner that was told of last: a hint. */
  readonly told: { epoch: number; owner: NodeRef } | undefined;
  /** Id of this node; absent: it is in no cluster. */
  readonly selfId: string | undefined;
  /** True if only an operator's word hands the disk over. */
  readonly isExplicit: boolean;
  /** True if data of the disk was lost here, and no operator has accepted that. */
  readonly isLossy: boolean;
  /** True if snapshots keep the files here. */
  readonly hasSnapshots: boolean;
}

/** Kinds of work that change the owner or the files of a disk: one at a time, in their order. */
export const jobKinds = ['grant', 'take', 'host', 'receive', 'seize', 'remove', 'still', 'replace', 'reopen'] as const;
/** Kinds of work that go on beside a job. */
export type SideKind = 'accepted' | 'claim' | 'settle' | 'resolve' | 'release' | 'released';
export type WorkKind = (typeof jobKinds)[number] | SideKind;

/** One piece of work, and how far it is. */
export interface Work {
  readonly kind: WorkKind;
  /** Name of the work, for the caller that waits for its reply. */
  readonly id: string;
  readonly phase: string;
  readonly reason?: HandoverReason | undefined;
  /** Node that the work is about: the taker, the giver, the claimant. */
  readonly node?: NodeRef | undefined;
  /** Epoch that the work is about. */
  readonly epoch?: number | undefined;
  readonly handover?: Pick<Handover, 'epoch' | 'forced'> | undefined;
  /** True if the gate is to be closed while a claim is judged. */
  readonly isTrusted?: boolean | undefined;
  /** Time of a force, ISO 8601. */
  readonly at?: string | undefined;
  /** Index of a released node in the table of the map. */
  readonly index?: string | undefined;
  /** Answer of the last effect. */
  readonly answer?: unknown;
  readonly error?: unknown;
}

/** The volatile part: a crash ends it. */
export interface Volatile {
  /** Work under way by its key: `job`, or kind and id. */
  readonly works: Readonly<Record<string, Work>>;
  /** Jobs that wait. */
  readonly queue: readonly Work[];
  /** Acceptance that is under way, with the epoch that was durably held before it. */
  readonly accepting: { epoch: number; heldEpoch: number } | undefined;
  /** Later owner that was proven while the files were not open. */
  readonly proven?: { readonly node: NodeRef; readonly epoch: number } | undefined;
  readonly isClosed: boolean;
}

export const atRest: Volatile = { works: {}, queue: [], accepting: undefined, isClosed: false };

export type Event =
  /** Work is asked for. */
  | { kind: 'want'; work: Omit<Work, 'phase'> }
  /** All effects of the work's last step have ended; `answer` is that of the last one. */
  | { kind: 'done'; key: string; answer?: unknown }
  /** An effect of the work's last step has failed; those after it were not begun. */
  | { kind: 'failed'; key: string; error: unknown }
  /** The process is about to end. */
  | { kind: 'close' };

/** Answers of the effect `askResolve`. */
export type Decision = 'accepted' | 'pending' | 'refused';

/** Answers of the effect `askHandover`. */
export interface Given {
  giver: NodeRef;
  handover: Pick<Handover, 'epoch' | 'forced'>;
}

/** Reasons of the machine itself for a refusal. */
export type Refusal =
  | 'not owner'
  | 'owner'
  | 'explicit'
  | 'closed'
  | 'lossy'
  | 'old epoch'
  | 'promised'
  | 'stale release'
  | 'no epoch'
  | 'not open'
  | Proof;

export type Effect =
  // Files and notes, durable when the effect ends.
  | { kind: 'persist'; file: Partial<Ownership>; without?: string | undefined }
  | { kind: 'refuse'; epoch: number }
  | { kind: 'hold' }
  | { kind: 'inherit'; giver: NodeRef; epoch: number }
  | { kind: 'prepareForce' }
  | { kind: 'open' }
  | { kind: 'reopen' }
  | { kind: 'reopenLater' }
  | { kind: 'letGo' }
  | { kind: 'closeFiles' }
  | { kind: 'removeFolder' }
  | { kind: 'endCopy' }
  // Clients of this node.
  | { kind: 'fence'; by: NodeRef; epoch?: number | undefined }
  | { kind: 'readmit'; epoch: number }
  | { kind: 'closeGate' }
  | { kind: 'holdGate' }
  | { kind: 'openGate' }
  | { kind: 'flush' }
  | { kind: 'settleLease' }
  | { kind: 'loseLease' }
  | { kind: 'refreshLanes'; isAwaited?: boolean | undefined }
  | { kind: 'closeView' }
  | { kind: 'began' }
  // Other nodes.
  | { kind: 'ask'; method: 'handover' }
  | { kind: 'ask'; method: 'accepted'; node: NodeRef; epoch: number }
  | { kind: 'ask'; method: 'resolve'; node: NodeRef; epoch: number }
  | { kind: 'ask'; method: 'release'; node: NodeRef; epoch: number }
  | { kind: 'prove'; node: NodeRef; epoch: number }
  | { kind: 'settleLater'; isNow?: boolean | undefined }
  | { kind: 'announce' }
  // The rest of the blocks.
  | { kind: 'startCompletion'; isDelayed?: boolean | undefined }
  | { kind: 'stopCompletion'; isAwaited?: boolean | undefined }
  // The one that asked for the work.
  | { kind: 'check' }
  | { kind: 'work' }
  | { kind: 'report'; event: 'granted' | 'deposed' | 'undone' | 'taken' | 'kept' }
  | { kind: 'reply'; answer: 'done' | 'handover' | 'answer' | Decision }
  | { kind: 'reject'; why: Refusal | 'error' };

export type EffectKind = Effect['kind'];
