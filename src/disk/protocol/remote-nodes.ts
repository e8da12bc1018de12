/** The other nodes as disks see them: what can be asked of one, and what can be read from it. The real ones speak NBD (`peer/client/disk-nodes.ts`). */
import type { RequestOptions } from '../../block/read-options.js';
import type { BlockDevice } from '../../device/device.js';
import type { AnswerOf, ArgumentOf, DiskMethod } from './call.js';
import type { NodeRef } from './record.js';

/** Blocks of a disk in another node's overlay. */
export interface BlockSource {
  /** Fills the target from whole blocks. */
  read(target: Buffer, offset: number, options?: RequestOptions & { background?: boolean | undefined }): Promise<void>;
  close(): Promise<void>;
}

export interface RemoteNodes {
  /** This node. */
  readonly self: NodeRef;
  /** Whether the node answers, as far as is known. */
  isUp(id: string): boolean;
  /** Nodes that answer. */
  up(): NodeRef[];
  /** Errors are the far node's, by code, and `ERR_PEER_GONE`. */
  call<M extends DiskMethod>(node: NodeRef, method: M, argument: ArgumentOf<M>, options?: { timeoutMs?: number }): Promise<AnswerOf<M>>;
  /** The disk at its owner, live: reads, flushes and extents. Its requests fail with `ERR_NOT_OWNER` when that node does not own it any more. */
  view(node: NodeRef, uuid: string, sizeBytes: number): BlockDevice;
  blocks(node: NodeRef, uuid: string, sizeBytes: number): BlockSource;
  /** The map, a byte a block as `NativeOverlayFile.copyMap` gives it. */
  map(
    node: NodeRef,
    uuid: string,
    blockCount: number,
    options: { takeChanges: boolean; signal?: AbortSignal | undefined },
  ): Promise<Uint8Array>;
  /** What this node says of itself has changed. */
  announce(): void;
}
