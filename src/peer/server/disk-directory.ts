/**
 * Opens the exports by which other nodes use disks of this node: `disk/UUID`, `blocks/UUID`,
 * `map/UUID` and `call`.
 *
 * Invariants: disks are opened for members alone. Reads that guests of other nodes wait for,
 * background reads, and calls have memory of their own. A handshake may open an export more than
 * once, so opening alone takes no marks and no memory of maps.
 *
 * Source: docs/reference/peer-protocol.md, "Disks among peers".
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

/**
 * A disk that this node owns, opened for the clients of one other node. Each request may reject
 * with `ERR_NOT_OWNER`.
 */
export interface ServedDisk {
  /** The disk, of which this room uses read, flush and extents. The caller closes it. */
  device: BlockDevice;
  /**
   * Deadline per request, in ms; 0 or absent means none. It is less than the deadline of the guests
   * at the asking node.
   */
  deadlineMs?: number | undefined;
  /** Called once, when the node is not attached by this connection any more. */
  release(): void;
}

export interface ServedBlocks {
  /** The overlay. The caller closes it; requests that are under way then fail. */
  overlay: PeerOverlay;
  release(): void;
}

export interface ServedMap {
  /** Number of blocks, at least 1. */
  blockCount: number;
  /**
   * Copies the bytes of all blocks. It clears the marks of changed blocks if the asking node wants
   * that. Called at most once, at the first read.
   */
  copy(target: Buffer): void | Promise<void>;
  release(): void;
}

/**
 * Disks of this node. Each function resolves to `undefined` if there is no such disk, or not in
 * that form. A rejection reaches the asking node as an export that does not exist. So a function
 * waits for a disk that is about to exist, and the asking node asks again.
 *
 * A handshake may open and release an export before it opens it for the connection.
 */
export interface PeerDisks {
  /** @param fromNodeId id of the asking node, which counts as attached until `release` */
  disk?(uuid: string, fromNodeId: string): Promise<ServedDisk | undefined>;
  blocks?(uuid: string, fromNodeId: string): Promise<ServedBlocks | undefined>;
  map?(uuid: string, options: { fromNodeId: string; takeChanges: boolean }): Promise<ServedMap | undefined>;
  /** @see callMethods */
  call?: AnswerCall | undefined;
}

export type DiskExportName = Extract<PeerExport, { kind: 'disk' | 'blocks' | 'map' | 'call' }>;

/** Bounds on memory over all peers, in bytes. The first three are for requests and replies. */
export interface PeerDiskMemoryBytes {
  /** Bound for reads that guests of other nodes wait for. */
  disk: number;
  /** Bound for background reads of blocks, and for reads of maps. */
  background: number;
  call: number;
  /** Bound on copies of maps, which have one byte per block. */
  map: number;
}

/** Default bounds. The map of a disk of 1 TiB has 256 MiB. */
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
   * Opens an export of a disk for a member, or `call` for any client.
   *
   * @param identify finds the member behind the connection. Each call runs it again, because a
   *   connection may be older than this node's knowledge of the members
   * @throws CopseError `ERR_NOT_MEMBER`, and what `identify` throws
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
    const description = 'a disk that this node owns';
    return { ...this.#export(wanted, description, 'disk', served), device: new PeerDiskDevice(device), deadlineMs };
  }

  async #blocks(wanted: Extract<DiskExportName, { kind: 'blocks' }>, fromNodeId: string): Promise<Export | undefined> {
    const served = await this.#disks.blocks?.(wanted.uuid, fromNodeId);
    if (served === undefined) return undefined;
    const memory = wanted.background === true ? 'background' : 'disk';
    const device = new PeerBlocksDevice(served.overlay);
    return { ...this.#export(wanted, "the blocks of a disk in this node's overlay", memory, served), device };
  }

  async #map(wanted: Extract<DiskExportName, { kind: 'map' }>, fromNodeId: string): Promise<Export | undefined> {
    const served = await this.#disks.map?.(wanted.uuid, { fromNodeId, takeChanges: wanted.changes === true });
    if (served === undefined) return undefined;
    const device = new PeerMapDevice({ blockCount: served.blockCount, copy: (target) => served.copy(target), budget: this.#maps });
    const release = (): void => {
      device.release();
      served.release();
    };
    return { ...this.#export(wanted, 'the map of a disk, one byte per block', 'background', { release }), device };
  }

  #call(wanted: DiskExportName, identify: () => Promise<Caller | undefined>): Export | undefined {
    const served = this.#limiter?.open(identify);
    if (served === undefined) return undefined;
    return { ...this.#export(wanted, 'write a call, read its answer: JSON', 'call', served), device: served.device };
  }

  #export(
    wanted: DiskExportName,
    description: string,
    memory: 'disk' | 'background' | 'call',
    served: { release(): void },
  ): Omit<Export, 'device'> {
    const release = (): void => served.release();
    return { name: formatPeerExport(wanted), description, metrics: this.#metrics[wanted.kind], memory: this.#memory[memory], release };
  }
}
