/**
 * A connection that a native thread serves, and the lease under which it may answer.
 *
 * The rules for all native calls stand in `loader.ts`.
 */
import type { NativeChunkFile } from './chunk.js';
import type { NativeOverlayFile } from './overlay.js';

/** What a lane tells, as bits. */
export const LaneEvent = {
  /** Input waits, or is over. */
  input: 1,
  /** What `send` could not send at once is sent, or will never be. */
  sent: 2,
  /** What was granted before is in use no more, but for what another grant has given meanwhile: `isQuiet` knows. */
  quiet: 4,
} as const;

/**
 * A connection's transmission phase on a thread of its own: requests for what was granted are answered there, everything else comes up here as it was received, and is
 * answered by `send`. See `native/core/fast/lane.h`. A call after `stop` throws `ERR_CLOSED`. A lane keeps the process alive until it is stopped; the end of a worker stops its lanes.
 */
export interface NativeLane {
  /** Bytes that `takeInput` would find. */
  inputBytes(): number;
  /** Takes what came up. 0: nothing just now; -1: there will be no more. */
  takeInput(target: Uint8Array, targetStart: number, lengthBytes: number): number;
  /**
   * Sends the pieces, in order, behind all that was sent before. `true`: all is gone. `false`: the array and its pieces are the lane's until the event `sent` or `stop`'s end, and no other `send` may come before. Without
   * pieces it tells of the end of what native code has still to send. A connection that has ended takes everything, and sends nothing.
   */
  send(pieces: readonly Uint8Array[]): boolean;
  /**
   * From now on requests are answered from these files alone: a disk's overlay over an image, an image, or none of them. Nothing that was granted before is begun any more when it returns. `false`: something of
   * it is still in use; the event `quiet` tells of the end. A client that does not read can hold that up for ever, until `shut`. The files must not be closed before.
   *
   * With a lease on the overlay, requests come up while it has passed, and replies that are ready wait until it is open again. When it is lost the connection is shut.
   */
  grant(overlay: NativeOverlayFile | undefined, image: NativeChunkFile | undefined, writable: boolean, lease?: NativeLease): boolean;
  /** Whether nothing of what was granted before the last `grant` is in use. */
  isQuiet(): boolean;
  /** Whether a client that does not read is in the way of that: it was being sent something from what was granted since the last call, and took none of it. A slow disk is not meant. */
  isStalled(): boolean;
  /** Whether nothing can be sent any more: the client has gone. What is sent then is taken all the same. */
  hasFailed(): boolean;
  /** Ends the connection at once, both ways. */
  shut(): void;
  /** Shuts, and resolves when no thread works for the lane any more. No event comes after the call. */
  stop(): Promise<void>;
  /** What was counted so far, also after `stop`, by the indices of `LaneCount`. The target has `laneCounterCount` elements. */
  counters(target: Float64Array): void;
  /** After `stop`: closes the descriptor, and frees the rest. */
  close(): void;
}

/**
 * Until when this node may answer for a disk, as a word of memory that lanes look at. The clock is CLOCK_BOOTTIME, which
 * goes on while the process is stopped and while the host is suspended. A new lease has passed.
 */
export interface NativeLease {
  /** True if it has not passed. */
  isValid(): boolean;
  /** Ends it `ms` from now. `false`: it had passed, and stays so. */
  extend(ms: number): boolean;
  /** The same for one that has passed. Changes nothing of one that is lost or free. */
  open(ms: number): void;
  /** It has passed from now on. Changes nothing of one that is lost or free. */
  close(): void;
  /** From now on there is no limit. */
  free(): void;
  /** From now on nothing is answered under it: replies that wait for it are dropped, with their connections. */
  lose(): void;
}

/** Where what stands in a lane's counters. Latencies are as in `LatencyHistogram`: one count a bucket. */
export const LaneCount = {
  reads: 0,
  readBytes: 1,
  readNs: 2,
  /** Of the reads, those that had to wait for the disk. */
  coldReads: 3,
  writes: 4,
  writtenBytes: 5,
  writeNs: 6,
  /** Requests that came up. */
  handedUp: 7,
  readLatency: 8,
  writeLatency: 35,
} as const;
export const laneCounterCount = 62;

export interface LaneOptions {
  /** A connected stream socket. It is duplicated, and made blocking: the caller closes its own without another use. When `openLane` throws it is as it was. */
  descriptor: number;
  replies: 'simple' | 'structured' | 'extended';
  /** What was read from the socket already. Copied. */
  early: Uint8Array;
  /** Called with bits of `LaneEvent`, from the event loop. Must not throw. */
  onEvent(events: number): void;
}
