/** What disks are made of in tests: a base in memory that counts, blocks of other nodes that wait to be told, overlays in files. */

import { join } from 'node:path';
import type { Test } from 'tap';
import { errorCode } from '../../../src/base/error.js';
import { silentLogger } from '../../../src/base/log.js';
import { native } from '../../../src/base/native/loader.js';
import { BlockState, blockBytes, type NativeOverlayFile } from '../../../src/base/native/overlay.js';
import type { CachedExtent, Extent } from '../../../src/block/extent.js';
import type { Place } from '../../../src/block/place.js';
import type { RequestOptions } from '../../../src/block/read-options.js';
import type { BlockDevice } from '../../../src/device/device.js';
import { ReadOnlyDevice } from '../../../src/device/read-only.js';
import { Disk, type DiskOptions, type RemoteBlocks } from '../../../src/disk/overlay/device.js';
import { ManualClock } from '../../cache/manual-clock.js';

/** A read-only device over bytes in memory. Zeros are known block by block; nothing waits unless it is told to. */
export class ScriptedBase extends ReadOnlyDevice implements BlockDevice {
  readonly features = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };
  readonly sizeBytes: number;
  readonly bytes: Buffer;
  source: Place = 'origin';
  /** Whether `readNow` has the bytes. */
  isCached = true;
  readonly reads: { offset: number; lengthBytes: number; options: RequestOptions }[] = [];
  readonly cached: { offset: number; lengthBytes: number }[] = [];
  /** What a read waits for, or fails with. */
  before: (offset: number) => Promise<void> = () => Promise.resolve();

  constructor(bytes: Buffer) {
    super('images are');
    this.bytes = bytes;
    this.sizeBytes = bytes.length;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    this.#check(offset, lengthBytes);
    if (this.isCached) this.bytes.copy(target, targetStart, offset, offset + lengthBytes);
    return this.isCached;
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    this.#check(offset, lengthBytes);
    return native.isZero(this.bytes, offset, offset + lengthBytes);
  }

  async read(target: Buffer, offset: number, options: RequestOptions = {}): Promise<Place> {
    this.#check(offset, target.length);
    this.reads.push({ offset, lengthBytes: target.length, options });
    await this.before(offset);
    this.bytes.copy(target, 0, offset);
    return this.source;
  }

  /** A few blocks at a time, as a device may. */
  async extents(offset: number, lengthBytes: number, maxCount: number): Promise<Extent[]> {
    this.#check(offset, lengthBytes);
    const extents: Extent[] = [];
    const end = Math.min(offset + lengthBytes, offset - (offset % blockBytes) + 5 * blockBytes);
    for (let at = offset; at < end; ) {
      const next = Math.min(end, at - (at % blockBytes) + blockBytes);
      const zero = this.isZeroNow(at, next - at);
      const last = extents.at(-1);
      if (last?.zero === zero) last.lengthBytes += next - at;
      else if (extents.length === maxCount) break;
      else extents.push({ lengthBytes: next - at, zero, hole: zero });
      at = next;
    }
    return extents;
  }

  cachedExtents(offset: number, lengthBytes: number): CachedExtent[] {
    this.#check(offset, lengthBytes);
    return [{ lengthBytes, cached: this.isCached }];
  }

  async cache(offset: number, lengthBytes: number): Promise<void> {
    this.#check(offset, lengthBytes);
    this.cached.push({ offset, lengthBytes });
  }

  close(): Promise<void> {
    throw new Error('a base is not the disk’s to close');
  }

  #check(offset: number, lengthBytes: number): void {
    if (offset < 0 || lengthBytes <= 0 || offset + lengthBytes > this.sizeBytes) throw new RangeError(`base: ${lengthBytes} at ${offset}`);
  }
}

export interface RemoteRead {
  nodeIndex: number;
  offset: number;
  lengthBytes: number;
  options: RequestOptions;
}

/** Other nodes with bytes in memory. */
export class ScriptedRemote implements RemoteBlocks {
  readonly bytes: Buffer;
  readonly reads: RemoteRead[] = [];
  /** What a read waits for, or fails with. */
  before: (read: RemoteRead) => Promise<void> = () => Promise.resolve();

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  async read(nodeIndex: number, target: Buffer, offset: number, options: RequestOptions = {}): Promise<void> {
    if (offset % blockBytes !== 0 || target.length % blockBytes !== 0) throw new RangeError(`remote: ${target.length} at ${offset}`);
    const read = { nodeIndex, offset, lengthBytes: target.length, options };
    this.reads.push(read);
    await this.before(read);
    this.bytes.copy(target, 0, offset, offset + target.length);
  }
}

export const recordsOffset = 4096;
export const recordSeed = 0x1234abcd;

/** The map's byte of a block on another node. */
export function remoteState(nodeIndex: number): number {
  return BlockState.remote | (nodeIndex << 3);
}

export interface OverlayFiles {
  dataPath: string;
  mapPath: string;
  sizeBytes: number;
}

export function overlayFiles(folder: string, sizeBytes: number): OverlayFiles {
  return { dataPath: join(folder, 'data'), mapPath: join(folder, 'map'), sizeBytes };
}

export function openOverlay(files: OverlayFiles): NativeOverlayFile {
  return native.openOverlayFile({ ...files, recordsOffset, recordSeed });
}

/** The overlay with some calls replaced. */
export function withCalls(overlay: NativeOverlayFile, calls: Partial<NativeOverlayFile>): NativeOverlayFile {
  return new Proxy(overlay, {
    get(target, name) {
      const value: unknown = Reflect.get(name in calls ? calls : target, name, name in calls ? calls : target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Writes the map of an overlay that does not exist yet. */
export async function writeMap(files: OverlayFiles, states: Uint8Array): Promise<void> {
  await native.writeOverlayMap({ mapPath: files.mapPath, recordsOffset, recordSeed, header: Buffer.from('{}\n') }, states);
}

export function openDisk(overlay: NativeOverlayFile, options: Partial<DiskOptions> = {}): { disk: Disk; clock: ManualClock } {
  const clock = new ManualClock();
  return { disk: new Disk({ overlay, base: undefined, multiConn: false, clock, log: silentLogger, ...options }), clock };
}

export async function readDisk(disk: BlockDevice, offset: number, lengthBytes: number, options?: RequestOptions): Promise<Buffer> {
  const target = Buffer.alloc(lengthBytes, 0xaa);
  await disk.read(target, offset, options);
  return target;
}

/** A promise to be settled by hand. */
export function gate(): { opened: Promise<void>; open(): void; fail(error: unknown): void } {
  let open = (): void => {};
  let fail = (_error: unknown): void => {};
  const opened = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { opened, open, fail };
}

/** Closes the disk with the test, whose folder has gone by then: that it could not be flushed to is no failure. */
export function closeAfter(t: Test, disk: Disk): void {
  t.after(() =>
    disk.close().catch((error: unknown) => {
      if (errorCode(error) !== 'ESTALE') throw error;
    }),
  );
}
