/**
 * A disk of which this node has blocks, as the owner, a former owner or the next one: its folder,
 * its open overlay, and the image below.
 *
 * Invariant: blocks of the overlay change only while `state` is `owner`, or by a copy that is made
 * ahead of a handover. An owner's blocks change by guests, and by blocks from former owners.
 */

import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.js';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { BlockState, blockBytes, type NativeOverlayFile } from '../../base/native/overlay.js';
import type { Room } from '../../base/room.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { BlockDevice } from '../../device/device.js';
import { recordEarlierForce } from '../folder/earlier-force.js';
import type { DiskFolder } from '../folder/folder.js';
import { DiskFooting } from '../folder/footing.js';
import type { DiskLoss, DiskLosses } from '../folder/loss.js';
import { nodeIndexOf, stateOf } from '../overlay/block-map.js';
import { Disk } from '../overlay/device.js';
import { forgetIdle, watchIdle } from '../overlay/idle-overlay.js';
import type { DiskRecord, OwnerState } from '../protocol/record.js';
import type { BlockSource, RemoteNodes } from '../protocol/remote-nodes.js';

/** Image below a disk, held open. */
export interface DiskImage {
  device: BlockDevice;
  /** Runs of the image that guests of this node have read: offset and length in bytes. */
  touched(): [number, number][];
  /** Brings the runs into this host's cache, behind all demand. */
  warm(ranges: readonly [number, number][], signal: AbortSignal): Promise<void>;
  /** Text for people about chunks that no origin and no peer has given. */
  trouble?(): string | undefined;
  release(): Promise<void>;
}

export interface HostedDiskOptions {
  /** Opens the image below; asks no origin. */
  openBase(record: DiskRecord): Promise<DiskImage | undefined>;
  /** Absent on a single host. */
  peers: RemoteNodes | undefined;
  /** Second place that knows of lost data. */
  losses?: DiskLosses | undefined;
  /** Makes room on the file system of the disks. */
  room?: Room | undefined;
  clock: Clock;
  log: Logger;
}

export class HostedDisk {
  readonly folder: DiskFolder;
  readonly overlay: NativeOverlayFile;
  readonly disk: Disk;
  readonly footing: DiskFooting;
  readonly base: DiskImage | undefined;
  readonly #options: HostedDiskOptions;
  /** By node index. */
  readonly #sources = new Map<number, BlockSource>();
  #copy: { id: string; to: string } | undefined;
  #isClosed = false;

  private constructor(folder: DiskFolder, overlay: NativeOverlayFile, base: DiskImage | undefined, options: HostedDiskOptions) {
    this.folder = folder;
    this.overlay = overlay;
    this.base = base;
    this.#options = options;
    const { clock, log, losses, room } = options;
    const { name, uuid } = folder.record;
    this.footing = new DiskFooting({ overlay, name, uuid, mapPath: folder.mapPath, losses, room, log });
    this.disk = new Disk({
      overlay,
      base: base?.device,
      remote: { read: (nodeIndex, target, offset, request) => this.#readRemote(nodeIndex, target, offset, request) },
      multiConn: folder.record.multiConn,
      footing: this.footing,
      room,
      clock,
      log,
    });
  }

  /**
   * @throws CopseError `ERR_DISK_OPEN` if the folder is open already, `ERR_DISK_BROKEN` if the
   * overlay can't be read; the error with which the image below can't be opened
   */
  static async open(folder: DiskFolder, options: HostedDiskOptions): Promise<HostedDisk> {
    const base = await options.openBase(folder.record);
    try {
      const hosted = new HostedDisk(folder, folder.openOverlay(), base, options);
      recordEarlierForce(folder, options.peers?.self);
      watchIdle(hosted.overlay, options.log);
      return hosted;
    } catch (error) {
      await base?.release();
      if (error instanceof CopseError) throw error;
      throw new CopseError('ERR_DISK_BROKEN', `disk "${folder.record.name}" can't be opened (${folder.path}): ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }

  get record(): DiskRecord {
    return this.folder.record;
  }

  get state(): OwnerState {
    return this.folder.state;
  }

  /** True if this node owns the disk by these files. Closed files own nothing. */
  get isOwner(): boolean {
    return !this.#isClosed && this.folder.state.state === 'owner';
  }

  get blockCount(): number {
    return this.overlay.sizeBytes / blockBytes;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Copy on another node for which changes are marked. At first all blocks count as changed. It
   * ends with this object, because the marks are lost when the disk is opened anew.
   */
  get copy(): Readonly<{ id: string; to: string }> | undefined {
    return this.#copy;
  }

  /** Begins to mark changes for a new copy: every block at first. An older copy gets no marks. */
  markFor(nodeId: string): { id: string } {
    this.#copy = { id: randomUUID(), to: nodeId };
    this.overlay.trackChanges(true, true);
    return this.#copy;
  }

  /** Data that a failed sync lost, in this process or an earlier one. */
  get loss(): DiskLoss | undefined {
    return this.#isClosed ? undefined : this.footing.loss;
  }

  /** Text for people about trouble with the file system of the disk. */
  get trouble(): string | undefined {
    return this.#isClosed ? undefined : this.footing.trouble;
  }

  /** A copy of the map. */
  states(takeChanges = false): Uint8Array {
    const states = new Uint8Array(this.blockCount);
    this.overlay.copyMap(states, 0, 0, states.length, takeChanges);
    return states;
  }

  /** Blocks that are still on other nodes, by node id, counted now. */
  toCome(): { node: string; bytes: number }[] {
    if (this.overlay.remoteBytes === 0) return [];
    const { nodes } = this.state;
    const bytes = new Map<number, number>();
    for (const byte of this.states()) {
      const index = nodeIndexOf(byte);
      if (stateOf(byte) === BlockState.remote) bytes.set(index, (bytes.get(index) ?? 0) + blockBytes);
    }
    return [...bytes].map(([index, count]) => ({ node: nodes[index]?.id ?? `node ${index}`, bytes: count }));
  }

  /** Fetches blocks from the node that has them. */
  async #readRemote(nodeIndex: number, target: Buffer, offset: number, request?: RequestOptions & { background?: boolean }): Promise<void> {
    const source = this.#source(nodeIndex);
    try {
      await source.read(target, offset, request);
    } catch (error) {
      const { id = `node ${nodeIndex}` } = this.state.nodes[nodeIndex] ?? {};
      const code = errorCode(error);
      if (code === 'ERR_ABORTED' || code === 'ERR_DEADLINE') throw error;
      throw new CopseError(
        'ERR_BLOCKS_AWAY',
        `disk "${this.record.name}": blocks at ${offset} are on node ${id} alone: ${errorMessage(error)}`,
        { cause: error },
      );
    }
  }

  #source(nodeIndex: number): BlockSource {
    const known = this.#sources.get(nodeIndex);
    if (known !== undefined) return known;
    const { peers } = this.#options;
    const node = this.state.nodes[nodeIndex];
    if (peers === undefined || node === undefined) {
      throw new CopseError(
        'ERR_BLOCKS_AWAY',
        `disk "${this.record.name}": its blocks are on node ${node?.id ?? nodeIndex}, and this node is in no cluster`,
      );
    }
    const source = peers.blocks(node, this.record.uuid, this.record.sizeBytes);
    this.#sources.set(nodeIndex, source);
    return source;
  }

  /** Fetches blocks from the node that has them. Requests of guests go first. */
  fetch(nodeIndex: number, target: Buffer, offset: number, signal: AbortSignal): Promise<void> {
    return this.#readRemote(nodeIndex, target, offset, { signal, background: true });
  }

  /** Ends all requests, flushes, and releases the image below. The folder stays. */
  async close(): Promise<void> {
    this.#isClosed = true;
    forgetIdle(this.overlay);
    try {
      await this.disk.close();
    } finally {
      await Promise.all([...this.#sources.values()].map((source) => source.close()));
      this.#sources.clear();
      await this.base?.release();
    }
  }
}
