/**
 * A disk as a block device: an overlay of the blocks that were written, over a base, with blocks that may still be on other nodes. It knows no connections, owners or epochs.
 *
 * Durability: a write is durable after the next flush, or at once with FUA; the order on the disk is the overlay's (`NativeOverlayFile`). States of blocks change through the overlay's calls
 * alone, which hold the range lock, so that concurrent requests need no order here.
 */

import type { Clock } from '../../base/clock.js';
import { CopseError, errorCode } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { NativeOverlayFile } from '../../base/native/overlay.js';
import { type Room, withRoom } from '../../base/room.js';
import { KiB } from '../../base/size.js';
import { UnderWay } from '../../base/under-way.js';
import type { CachedExtent, Extent } from '../../block/extent.js';
import type { Place } from '../../block/place.js';
import type { RequestOptions } from '../../block/read-options.js';
import { blockSize } from '../../device/block-size.js';
import type { BlockDevice, DeviceFeatures, FastFiles, WriteOptions, WriteZeroesOptions } from '../../device/device.js';
import { BelowOverlay } from './below.js';
import { DiskEdges } from './edges.js';
import { diskCachedExtents, diskExtents } from './extent.js';
import { DiskFlusher } from './flusher.js';
import { DiskReader } from './reader.js';
import { type RemoteBlocks, RemoteFetcher } from './remote.js';

export type { RemoteBlocks } from './remote.js';

export interface DiskOptions {
  /** The disk's from now on: closed with it. */
  overlay: NativeOverlayFile;
  /** What lies below; zeros beyond its end, and without one. It stays the caller's to close, after the disk. */
  base: BlockDevice | undefined;
  /** Where `remote` blocks are read from; without it they can't be read (`ERR_NO_REMOTE`). */
  remote?: RemoteBlocks | undefined;
  multiConn: boolean;
  /** Flushes the overlay, and explains its errors; absent: the overlay's own, as they are. */
  footing?: { flush(): Promise<void>; explain(error: unknown): unknown } | undefined;
  /** Makes room where the overlay finds none. */
  room?: Room | undefined;
  /** How long what was written may stay unflushed when nobody flushes, in milliseconds; 30 s unless given. */
  selfFlushMs?: number | undefined;
  clock: Clock;
  log: Logger;
}

const defaultSelfFlushMs = 30_000;
/** Beside the data: blocks of the file system for the map, its log, and extents. */
const roomOfMap = 64 * KiB;

export class Disk implements BlockDevice {
  readonly overlay: NativeOverlayFile;
  readonly blockSize = blockSize;
  readonly features: DeviceFeatures;
  readonly sizeBytes: number;
  readonly #base: BelowOverlay;
  readonly #remote: RemoteFetcher;
  readonly #reader: DiskReader;
  readonly #edges: DiskEdges;
  readonly #flusher: DiskFlusher;
  readonly #room: Room | undefined;
  readonly #clock: Clock;
  readonly #explain: (error: unknown) => unknown;
  readonly #underWay = new UnderWay('the disk');
  readonly #baseDevice: BlockDevice | undefined;
  #nativeWriterCount = 0;
  #closing: Promise<void> | undefined;

  constructor(options: DiskOptions) {
    const { overlay, clock, log } = options;
    this.overlay = overlay;
    this.#room = options.room;
    this.#clock = clock;
    this.#explain = (error) => options.footing?.explain(error) ?? error;
    this.sizeBytes = overlay.sizeBytes;
    this.features = { readOnly: false, multiConn: options.multiConn, trim: true, writeZeroes: true, fastZero: true };
    this.#base = new BelowOverlay(options.base);
    this.#baseDevice = options.base;
    this.#flusher = new DiskFlusher({
      flush: async () => await (options.footing ?? overlay).flush(),
      isDirty: () => overlay.dirty,
      isWatched: () => this.#nativeWriterCount > 0,
      selfFlushMs: options.selfFlushMs ?? defaultSelfFlushMs,
      clock,
      log,
    });
    this.#remote = new RemoteFetcher({
      overlay,
      room: options.room,
      remote: options.remote,
      clock,
      log,
      onFilled: () => this.#flusher.touch(),
    });
    this.#reader = new DiskReader({ overlay, base: this.#base, remote: this.#remote, clock });
    this.#edges = new DiskEdges(overlay, this.#base, this.#reader);
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    return this.#reader.readNow(target, targetStart, lengthBytes, offset);
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    return this.#reader.isZeroNow(offset, lengthBytes);
  }

  /** Those that are remote, or absent in the base, are not in them. What changes them natively has to end before `close`. */
  get files(): FastFiles | undefined {
    const below = this.#baseDevice?.files;
    if (this.#closing !== undefined || below?.overlay !== undefined || (this.#baseDevice !== undefined && below === undefined))
      return undefined;
    return { overlay: this.overlay, image: below?.image, beginWrites: () => this.#beginNativeWrites() };
  }

  /** Blocks that are still remote come to stay. */
  read(target: Buffer, offset: number, options: RequestOptions = {}): Promise<Place> {
    return this.#underWay.run(() => this.#reader.read(target, offset, options));
  }

  write(source: Buffer, offset: number, options: WriteOptions = {}): Promise<void> {
    return this.#change(options, source.length, async () => {
      const written = await this.overlay.write(source, 0, source.length, offset, undefined);
      if (written) return;
      const edges = await this.#edges.read(offset, source.length, options);
      await this.overlay.write(source, 0, source.length, offset, edges);
    });
  }

  writeZeroes(offset: number, lengthBytes: number, options: WriteZeroesOptions = {}): Promise<void> {
    const how = { allocate: options.noHole === true };
    return this.#change(options, options.noHole === true ? lengthBytes : 0, async () => {
      const zeroed = await this.overlay.zero(offset, lengthBytes, how, undefined);
      if (zeroed) return;
      const edges = options.fastOnly ? this.#edges.readNow(offset, lengthBytes) : await this.#edges.read(offset, lengthBytes, options);
      if (edges === undefined)
        throw new CopseError('ENOTSUP', `zeroing ${lengthBytes} bytes at ${offset} is not fast: the blocks at its ends have to be read`);
      await this.overlay.zero(offset, lengthBytes, how, edges);
    });
  }

  /** Whole blocks read as zeros afterwards; ragged ends stay as they are. */
  trim(offset: number, lengthBytes: number, options: WriteOptions = {}): Promise<void> {
    return this.#change(options, 0, () => this.overlay.trim(offset, lengthBytes));
  }

  /** One that is asked for while another runs joins the next. */
  flush(): Promise<void> {
    return this.#underWay.run(() => this.#flusher.flush());
  }

  extents(offset: number, lengthBytes: number, maxCount: number, options: RequestOptions = {}): Promise<Extent[]> {
    return this.#underWay.run(() => diskExtents(this.overlay, this.#base, offset, lengthBytes, maxCount, options));
  }

  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
    return diskCachedExtents(this.overlay, this.#base, offset, lengthBytes, maxCount);
  }

  /** A deadline counts for each step of it. Rejects when blocks of other nodes can't be kept, too. */
  cache(offset: number, lengthBytes: number, options: RequestOptions = {}): Promise<void> {
    return this.#underWay.run(() => this.#reader.cache(offset, lengthBytes, options));
  }

  /** Waits for what is under way, flushes, and closes the overlay, also when it can't be flushed: then it rejects with that. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#underWay.close();
    await this.#remote.drain();
    try {
      await this.#flusher.close();
    } finally {
      await this.overlay.close();
    }
  }

  #beginNativeWrites(): () => void {
    this.#nativeWriterCount += 1;
    this.#flusher.touch();
    return () => {
      this.#nativeWriterCount -= 1;
      this.#flusher.touch();
    };
  }

  /** @param roomBytes what it takes on the file system at most, about */
  #change(options: WriteOptions, roomBytes: number, work: () => Promise<void>): Promise<void> {
    return this.#underWay.run(async () => {
      try {
        await work();
      } catch (error) {
        const room = this.#room;
        if (room === undefined || errorCode(error) !== 'ENOSPC') throw this.#explain(error);
        await withRoom(work, { ...options, room, lengthBytes: roomBytes + roomOfMap, clock: this.#clock });
      } finally {
        // Also what failed may have changed something.
        this.#flusher.touch();
      }
      if (options.fua) await this.#flusher.flush();
    });
  }
}
