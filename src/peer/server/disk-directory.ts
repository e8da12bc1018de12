/**
 * The exports of disks that other nodes attach to: `disk/UUID`, `blocks/UUID`, `map/UUID`, and `call`.
 *
 * Invariants: what a guest elsewhere waits for, what is only brought, and calls each have memory of their own; nothing is taken or counted twice, though a handshake may open an export
 * more than once.
 *
 * Source: docs/reference/peer-protocol.md.
 */
import { Budget } from '../../base/budget.js';
import { MiB } from '../../base/size.js';
import type { BlockDevice } from '../../device/device.js';
import { type Caller, requireMember } from '../../disk/protocol/caller.js';
import type { Export, ExportMetrics } from '../../server/export.js';
import { RequestMemory } from '../../server/request-memory.js';
import { formatPeerExport, type PeerExport } from '../wire/export-name.js';
import { PeerBlocksDevice, type PeerOverlay } from './blocks-device.js';
import { type AnswerCall, CallLimiter } from './call-limiter.js';
import { PeerDiskDevice } from './disk-device.js';
import { PeerMapDevice } from './map-device.js';

/** A disk as its owner sees it, for the clients of one other node. Every request may reject with `ERR_NOT_OWNER`. */
export interface ServedDisk {
  /** Read, flush and extents are asked of it, nothing else. Not closed here. */
  device: BlockDevice;
  /** Of each request, in milliseconds: less than the guests have at the node that asks. 0 or absent waits for ever. */
  deadlineMs?: number | undefined;
  /** Called once: the node is not attached by this connection any more. */
  release(): void;
}

export interface ServedBlocks {
  /** Not closed here. Whoever closes it may do so under requests, which then fail. */
  overlay: PeerOverlay;
  release(): void;
}

export interface ServedMap {
  /** At least 1. */
  blockCount: number;
  /** The bytes of all blocks; marks of changed ones are cleared as they are copied, where that was asked for. Called once at most, when the first is read. */
  copy(target: Buffer): void | Promise<void>;
  release(): void;
}

/**
 * Disks of this node. `undefined`: there is none, or not in that way. Rejections are told to the node that asks as an export that can't be opened, which it takes for one that is
 * not there: what will be there in a moment is waited for, and the other asks again. A handshake may open and release an export before it opens it for the connection.
 */
export interface PeerDisks {
  /** @param fromNodeId counts as attached until `release` */
  disk?(uuid: string, fromNodeId: string): Promise<ServedDisk | undefined>;
  blocks?(uuid: string, fromNodeId: string): Promise<ServedBlocks | undefined>;
  map?(uuid: string, options: { fromNodeId: string; takeChanges: boolean }): Promise<ServedMap | undefined>;
  /** @see callMethods */
  call?: AnswerCall | undefined;
}

export type DiskExportName = Extract<PeerExport, { kind: 'disk' | 'blocks' | 'map' | 'call' }>;

/** Bounds on requests and replies on their way, over all peers, and on what is held for them. */
export interface PeerDiskMemoryBytes {
  /** What guests elsewhere wait for. */
  disk: number;
  /** Blocks that are only brought, and maps. */
  background: number;
  call: number;
  /** Copies of maps: a byte a block. */
  map: number;
}

/** A map of 1 TiB has 256 MiB. */
export const defaultPeerDiskMemoryBytes: PeerDiskMemoryBytes = { disk: 256 * MiB, background: 64 * MiB, call: 16 * MiB, map: 512 * MiB };

export class PeerDiskDirectory {
  readonly #disks: PeerDisks;
  readonly #metrics: Record<DiskExportName['kind'], ExportMetrics>;
  readonly #memory: Record<'disk' | 'background' | 'call', RequestMemory>;
  readonly #maps: Budget;
  readonly #limiter: CallLimiter | undefined;

  constructor(disks: PeerDisks, metrics: Record<DiskExportName['kind'], ExportMetrics>, memoryBytes: PeerDiskMemoryBytes) {
    const { disk, background, call, map } = memoryBytes;
    this.#disks = disks;
    this.#metrics = metrics;
    this.#memory = { disk: new RequestMemory(disk), background: new RequestMemory(background), call: new RequestMemory(call) };
    this.#maps = new Budget(map);
    this.#limiter = disks.call === undefined ? undefined : new CallLimiter((...call) => disks.call?.(...call) ?? Promise.resolve());
  }

  /**
   * @param identify tells the member behind the connection. A call asks it again: its connection may be older than what is known of the members
   * @throws CopseError `ERR_NOT_MEMBER`, and what `identify` rejects with
   */
  async open(wanted: DiskExportName, identify: () => Promise<Caller | undefined>): Promise<Export | undefined> {
    if (wanted.kind === 'call') return this.#call(wanted, identify);
    const { id } = requireMember(await identify(), formatPeerExport(wanted));
    switch (wanted.kind) {
      case 'disk':
        return this.#disk(wanted, id);
      case 'blocks':
        return this.#blocks(wanted, id);
      case 'map':
        return this.#map(wanted, id);
    }
  }

  async #disk(wanted: Extract<DiskExportName, { kind: 'disk' }>, fromNodeId: string): Promise<Export | undefined> {
    const served = await this.#disks.disk?.(wanted.uuid, fromNodeId);
    if (served === undefined) return undefined;
    const { device, deadlineMs } = served;
    const description = 'a disk as its owner, this node, sees it';
    return { ...this.#export(wanted, description, 'disk', served), device: new PeerDiskDevice(device), deadlineMs };
  }

  async #blocks(wanted: Extract<DiskExportName, { kind: 'blocks' }>, fromNodeId: string): Promise<Export | undefined> {
    const served = await this.#disks.blocks?.(wanted.uuid, fromNodeId);
    if (served === undefined) return undefined;
    const lane = wanted.background === true ? 'background' : 'disk';
    const device = new PeerBlocksDevice(served.overlay);
    return { ...this.#export(wanted, "what this node's overlay has of a disk", lane, served), device };
  }

  async #map(wanted: Extract<DiskExportName, { kind: 'map' }>, fromNodeId: string): Promise<Export | undefined> {
    const served = await this.#disks.map?.(wanted.uuid, { fromNodeId, takeChanges: wanted.changes === true });
    if (served === undefined) return undefined;
    const device = new PeerMapDevice({ blockCount: served.blockCount, copy: (target) => served.copy(target), budget: this.#maps });
    const release = (): void => {
      device.release();
      served.release();
    };
    return { ...this.#export(wanted, 'the map of a disk, a byte a block', 'background', { release }), device };
  }

  #call(wanted: DiskExportName, identify: () => Promise<Caller | undefined>): Export | undefined {
    const served = this.#limiter?.open(identify);
    if (served === undefined) return undefined;
    return { ...this.#export(wanted, 'write a call, read its answer: JSON', 'call', served), device: served.device };
  }

  #export(
    wanted: DiskExportName,
    description: string,
    lane: 'disk' | 'background' | 'call',
    served: { release(): void },
  ): Omit<Export, 'device'> {
    const release = (): void => served.release();
    return { name: formatPeerExport(wanted), description, metrics: this.#metrics[wanted.kind], memory: this.#memory[lane], release };
  }
}
