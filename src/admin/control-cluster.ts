/**
 * What a daemon tells of its cluster.
 *
 * Invariant: an optional field that is absent is not known to the node that was asked; it never stands for zero.
 */

/**
 * - `self`: the node that was asked.
 * - `up`: it answers pings, and may be asked for chunks.
 * - `draining`: it answers, hands its chunks on and is no home any more.
 * - `down`: not reached, or silent for longer than the ping timeout.
 * - `incompatible`: the versions have no peer protocol in common.
 * - `conflict`: it says that it is another node than the one expected: of another cluster, or with an id that is already taken.
 */
import type { Progress } from '../base/job.js';
export type MemberState = 'self' | 'up' | 'down' | 'draining' | 'incompatible' | 'conflict';

export type BreakerState = 'closed' | 'open' | 'half-open';

/** A peer that sent wrong bytes of an image is not asked for that image. */
export interface SetAside {
  image: string;
  reason: string;
  /** Since when. */
  seconds: number;
}

export interface MemberStatus {
  /** What the node calls itself; the address until it has said so. */
  id: string;
  /** HOST:PORT */
  address: string;
  state: MemberState;
  /** Why it is in that state, and what to do. */
  message?: string | undefined;
  /** Of its software. */
  version?: string | undefined;
  donatedBytes?: number | undefined;
  usedBytes?: number | undefined;
  /** Round trip of a ping, in microseconds. */
  rttUs?: number | undefined;
  /** Of requests to the peer; `closed` lets them through. */
  breaker: BreakerState;
  setAside: SetAside[];
}

export interface ClusterStatus {
  /** `false` on a node that is in no cluster. */
  enabled: boolean;
  node: { id: string; address?: string | undefined; donatedBytes: number; draining: boolean };
  /** Of the cluster. */
  name: string;
  /** Why this cluster: as configured, or what was measured. */
  reason: string;
  /** Where the list of members comes from; when that is not `well`, the last known list is in force. */
  membership: { kind: 'none' | 'static' | 'etcd'; well: boolean; message?: string | undefined };
  /** There are other members and none answers: this node asks origins itself. */
  cutOff: boolean;
  /** This node first, the others sorted by id. */
  members: MemberStatus[];
}

export interface ClusterMoveResult {
  /** The cluster that the node is, or will be, in. */
  name: string;
  takesEffect: 'now' | 'at-restart';
  message: string;
}

/** What guards bytes that peers give: each chunk's digest, the origin's strong ETag, the file's digest, the operator's word, or nothing. */
export type IdentityGuard = 'manifest' | 'etag' | 'digest' | 'trust' | 'none';

export interface ClusterImageStatus {
  name: string;
  /** 32 hexadecimal digits, equal on all nodes that serve the same bytes; absent when it is not shared. */
  id?: string | undefined;
  guard: IdentityGuard;
  shared: boolean;
  /** Why it is not shared. */
  reason?: string | undefined;
  chunkCount: number;
  /** Chunks that at least one live node holds. */
  heldChunks: number;
  /** Of the chunks that are held at all. */
  copies: { least: number; average: number; greatest: number };
  /** Chunks that guests have read. */
  touchedChunks?: number | undefined;
  touchedHeldChunks?: number | undefined;
  /** What the cluster can serve with the origin dead: all of it, what guests have read so far, or less than that. */
  servableWithoutOrigin: 'whole' | 'touched' | 'no';
  nodes: { id: string; heldBytes: number /** Chunks that its guests have read. */; touched?: number | undefined }[];
}

export interface DrainResult extends Progress {
  /** Bytes that other homes took. */
  handedOnBytes: number;
  /** Chunks that no other node holds: they would come from the origin again. */
  lastCopiesLeft: number;
  /** Disks that another node owns now, with all of their blocks. */
  disksMoved: number;
  /** Disks that are still here, wholly or in part. */
  disksLeft: { name: string; reason: string }[];
  /** The host may be switched off: no last copies and no disks are left, and nothing waits for this node. */
  safe: boolean;
  message: string;
}

export type ByteSource = 'cache' | 'peer' | 'origin';

export interface SourceUse {
  reads: number;
  bytes: number;
  /** What guests waited for it, all reads together. */
  waitedMs: number;
}

/** Where an export's bytes came from since the daemon started. */
export interface Explanation {
  name: string;
  sources: Record<ByteSource, SourceUse>;
  peers: { id: string; bytes: number; requests: number; failures: number; p50Ms: number; p95Ms: number }[];
  /** The reads that a guest waited longest for, longest first. */
  slowest: { offset: number; lengthBytes: number; source: ByteSource; ms: number }[];
  /** Of what this node asked the origin itself. `chunks` ÷ `uniqueChunks` above 1 is what came more than once. */
  origin: { requests: number; bytes: number; chunks: number; uniqueChunks: number; retries: number };
  /** What an operator should conclude, a sentence a line. */
  text: string[];
}
