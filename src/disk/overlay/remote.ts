/**
 * Blocks that are still on other nodes on their way into the overlay: each is fetched once, however many ask.
 *
 * Life of a flight: fetching, then arrived (its bytes are in memory, readers are answered), then stored or not, then gone. A fill that fails costs no reader anything: the blocks stay
 * remote and are fetched again.
 *
 * Invariants: a block is in one flight at a time; a flight's buffer has no other user and is never changed after it arrived. A reader may take a flight's bytes
 * for a block that was written meanwhile, since the write was acknowledged after the read began; the overlay leaves such a block alone when it is filled.
 */

import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { CopseError, errorCode } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { BlockState, blockBytes, type NativeOverlayFile } from '../../base/native/overlay.js';
import { type Room, withRoom } from '../../base/room.js';
import { KiB, MiB } from '../../base/size.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { RequestTime } from '../../device/request-time.js';

/** Blocks on other nodes. Implemented by who knows the nodes. */
export interface RemoteBlocks {
  /**
   * Fills `target`, whole blocks, from `offset` of the disk as node `nodeIndex` of the map has it. The target is the reader's until the promise settles.
   * Rejects when it can't be had, in `deadlineMs`, if that is given; soon when the signal is aborted.
   */
  read(nodeIndex: number, target: Buffer, offset: number, options?: RequestOptions): Promise<void>;
}

export interface RemoteFetcherOptions {
  overlay: NativeOverlayFile;
  remote: RemoteBlocks | undefined;
  room?: Room | undefined;
  clock: Clock;
  log: Logger;
  /** Told of each fill that changed something. */
  onFilled(): void;
}

/** What is fetched together: aligned, as far as it is on one node. */
export const fetchBytes = 64 * KiB;
const fetchBlocks = fetchBytes / blockBytes;

/** Bytes of flights beyond which nothing more is fetched than was asked for, and readers wait for the overlay, too. */
const crowdedBytes = 16 * MiB;

interface Flight {
  readonly firstBlock: number;
  readonly endBlock: number;
  readonly buffer: Buffer;
  readonly abort: AbortController;
  /** The bytes are in the buffer. */
  arrived: Promise<void>;
  /** They are in the overlay. */
  stored: Promise<void>;
  isFetching: boolean;
  waiterCount: number;
}

export class RemoteFetcher {
  readonly #options: RemoteFetcherOptions;
  /** Each block on its way. */
  readonly #flights = new Map<number, Flight>();
  readonly #ends = new Set<Promise<void>>();
  #flightBytes = 0;
  #fillHasFailed = false;

  constructor(options: RemoteFetcherOptions) {
    this.#options = options;
  }

  /** Fills the target. Resolves to `false`, nothing promised of the target, when some block is not remote (any more). */
  read(target: Buffer, offset: number, time: RequestTime): Promise<boolean> {
    return this.#each(offset, target.length, time, (flight) => {
      const flightOffset = flight.firstBlock * blockBytes;
      const from = Math.max(offset, flightOffset);
      flight.buffer.copy(target, from - offset, from - flightOffset);
      return this.#flightBytes > crowdedBytes ? settled(flight.stored) : undefined;
    });
  }

  /** Brings the blocks of the range into the overlay. Resolves to `false` when some block is not remote (any more); rejects, too, when they can't be stored. */
  store(offset: number, lengthBytes: number, time: RequestTime): Promise<boolean> {
    return this.#each(offset, lengthBytes, time, (flight) => flight.stored);
  }

  /** Resolves when nothing is under way. */
  async drain(): Promise<void> {
    while (this.#ends.size > 0) await Promise.all(this.#ends);
  }

  async #each(
    offset: number,
    lengthBytes: number,
    time: RequestTime,
    take: (flight: Flight) => Promise<void> | undefined,
  ): Promise<boolean> {
    const endBlock = Math.ceil((offset + lengthBytes) / blockBytes);
    for (let block = Math.floor(offset / blockBytes); block < endBlock; ) {
      const options = time.left();
      const shared = this.#flights.get(block);
      const flight = shared ?? this.#begin(block, endBlock, options);
      if (flight === undefined) return false;
      try {
        await this.#arrival(flight, options);
      } catch (error) {
        // Whoever began it had less time, or is gone: its end is not ours. `left` tells whether ours has come.
        if (shared !== undefined && (errorCode(error) === 'ERR_DEADLINE' || errorCode(error) === 'ERR_ABORTED')) continue;
        throw error;
      }
      await take(flight);
      block = flight.endBlock;
    }
    return true;
  }

  async #arrival(flight: Flight, options: RequestOptions): Promise<void> {
    const { clock } = this.#options;
    flight.waiterCount += 1;
    try {
      const what = `blocks on another node at ${flight.firstBlock * blockBytes}`;
      await waitFor(what, flight.arrived, { timeoutMs: options.deadlineMs, signal: options.signal, clock });
    } finally {
      flight.waiterCount -= 1;
      if (flight.waiterCount === 0 && flight.isFetching) {
        this.#forget(flight);
        flight.abort.abort();
      }
    }
  }

  #begin(block: number, askedEndBlock: number, options: RequestOptions): Flight | undefined {
    const lineBlock = block - (block % fetchBlocks);
    const run = this.#remoteRun(lineBlock, block);
    if (run === undefined) return undefined;
    const crowded = this.#flightBytes > crowdedBytes;
    let firstBlock = block;
    while (!crowded && firstBlock > run.firstBlock && !this.#flights.has(firstBlock - 1)) firstBlock -= 1;
    let endBlock = block + 1;
    const maxEndBlock = crowded ? Math.min(run.endBlock, askedEndBlock) : run.endBlock;
    while (endBlock < maxEndBlock && !this.#flights.has(endBlock)) endBlock += 1;

    const flight: Flight = {
      firstBlock,
      endBlock,
      buffer: Buffer.allocUnsafe((endBlock - firstBlock) * blockBytes),
      abort: new AbortController(),
      arrived: Promise.resolve(),
      stored: Promise.resolve(),
      isFetching: true,
      waiterCount: 0,
    };
    for (let at = firstBlock; at < endBlock; at += 1) this.#flights.set(at, flight);
    this.#flightBytes += flight.buffer.length;
    flight.arrived = this.#fetch(flight, run.nodeIndex, options);
    flight.stored = flight.arrived.then(() => this.#fill(flight));
    const end = settled(flight.stored).then(() => {
      this.#forget(flight);
      this.#flightBytes -= flight.buffer.length;
      this.#ends.delete(end);
    });
    this.#ends.add(end);
    return flight;
  }

  /** The remote run of the line that `block` is in. */
  #remoteRun(lineBlock: number, block: number): { nodeIndex: number; firstBlock: number; endBlock: number } | undefined {
    const { overlay } = this.#options;
    const lineOffset = lineBlock * blockBytes;
    const runs = overlay.runs(lineOffset, Math.min(fetchBytes, overlay.sizeBytes - lineOffset), fetchBlocks);
    let firstBlock = lineBlock;
    for (let index = 0; index + 2 < runs.length; index += 3) {
      const endBlock = firstBlock + (runs[index + 2] ?? 0) / blockBytes;
      if (block < endBlock)
        return runs[index] === BlockState.remote ? { nodeIndex: runs[index + 1] ?? 0, firstBlock, endBlock } : undefined;
      firstBlock = endBlock;
    }
    return undefined;
  }

  async #fetch(flight: Flight, nodeIndex: number, options: RequestOptions): Promise<void> {
    const offset = flight.firstBlock * blockBytes;
    try {
      const { remote } = this.#options;
      if (remote === undefined)
        throw new CopseError('ERR_NO_REMOTE', `blocks at ${offset} are on node ${nodeIndex} of the disk, which nobody here knows`);
      await remote.read(nodeIndex, flight.buffer, offset, { ...options, signal: flight.abort.signal });
    } catch (error) {
      this.#forget(flight);
      throw error;
    } finally {
      flight.isFetching = false;
    }
  }

  async #fill(flight: Flight): Promise<void> {
    const { overlay, room, clock, log, onFilled } = this.#options;
    try {
      const lengthBytes = flight.buffer.length;
      const fill = (): Promise<number> => overlay.fill(flight.buffer, 0, lengthBytes, flight.firstBlock * blockBytes);
      const filledBytes = await (room === undefined ? fill() : withRoom(fill, { room, lengthBytes: lengthBytes + 64 * KiB, clock }));
      this.#fillHasFailed = false;
      if (filledBytes > 0) onFilled();
    } catch (error) {
      if (!this.#fillHasFailed)
        log.warn({ err: error }, 'cannot keep blocks that came from another node; they are fetched again when they are read');
      this.#fillHasFailed = true;
      throw error;
    }
  }

  #forget(flight: Flight): void {
    for (let at = flight.firstBlock; at < flight.endBlock; at += 1) if (this.#flights.get(at) === flight) this.#flights.delete(at);
  }
}

/** Resolves when the promise settles, either way. */
function settled(promise: Promise<void>): Promise<void> {
  return promise.then(
    () => {},
    () => {},
  );
}
