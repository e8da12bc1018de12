/**
 * One client's connection to a disk: reads and writes where the disk is, as long as the client may.
 *
 * What native threads answer for it (`fast`) follows the same rules: whoever changes what they depend on has `fast.refresh` called in the same turn.
 *
 * Invariants: a change reaches the overlay only while this node owns the disk, its gate is open, and no newer client has displaced this one. Nothing is answered from this
 * node's files unless the lease on them holds afterwards.
 */

import { AbortedError, CopseError, errorCode } from '../../base/error.js';
import type { CachedExtent, Extent } from '../../block/extent.js';
import type { Place } from '../../block/place.js';
import type { RequestOptions } from '../../block/read-options.js';
import { blockSize } from '../../device/block-size.js';
import type {
  AnswerLease,
  BlockDevice,
  DeviceFeatures,
  FastFiles,
  FastOffer,
  WriteOptions,
  WriteZeroesOptions,
} from '../../device/device.js';
import { FastAccess } from '../../device/fast-access.js';
import type { ClientIdentity } from '../../server/export.js';
import { Gate } from './gate.js';
import { fencedError, type SessionFence } from './session-fence.js';

/** The disk as its sessions see it. */
export interface SessionHost {
  readonly sizeBytes: number;
  readonly multiConn: boolean;
  /** The disk, while this node owns it. */
  readonly here: BlockDevice | undefined;
  /** The lease under which this node answers for it; `undefined`: another node does, or there is no other. */
  readonly lease?: AnswerLease | undefined;
  /** Its files, while native threads may answer from them. */
  readonly files: FastFiles | undefined;
  /** Of all sessions together. */
  readonly gate: Gate;
  /** Whether the session may change the disk right now, without asking anybody. */
  mayChange(session: DiskSession): boolean;
  /** Does what has to be done for that: waits at the gate, takes the disk over, displaces older sessions. Rejects when it can't be had. */
  admit(session: DiskSession, options: RequestOptions): Promise<void>;
  /** What is left of a request's deadline, whenever it is asked. @throws `ERR_DEADLINE` */
  countdown(options: RequestOptions): () => RequestOptions;
  /** The disk at its owner. */
  view(): Promise<BlockDevice>;
  /** Waits until it is worth looking again, within the request's deadline. @throws `ERR_DEADLINE`, `ERR_ABORTED` */
  pause(options: RequestOptions): Promise<void>;
  /** The node behind the view says that it is not the owner: finds out who is. */
  relocate(view: BlockDevice): Promise<void>;
  /** A session that is fenced wanted to change something. */
  refused(session: DiskSession): void;
  left(session: DiskSession): void;
}

/** What may be over in a moment: ownership is on its way, or a node is starting. Requests wait for that until their deadline. */
const passing = new Set(['ERR_NOT_OWNER', 'ERR_OWNER_UNREACHABLE', 'ERR_PEER_GONE', 'ERR_BUSY']);

export class DiskSession implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSize = blockSize;
  readonly features: DeviceFeatures;
  readonly client: ClientIdentity;
  /** Later sessions have greater ones, until an operator has them all begin anew. */
  order: number;
  /** Changes of this session that are under way. */
  readonly changes = new Gate();
  hasWritten = false;
  /** It has asked for something: a handshake that only looks opens a session, too. */
  isUsed = false;
  /** The first request of a session, and the first write, are never answered natively: so the two above say what they mean. */
  readonly fast: FastAccess;
  #fence: SessionFence | undefined;
  #hasLeft = false;
  readonly #host: SessionHost;

  constructor(host: SessionHost, client: ClientIdentity, order: number, fence: SessionFence | undefined) {
    this.#host = host;
    this.client = client;
    this.order = order;
    this.#fence = fence;
    this.sizeBytes = host.sizeBytes;
    this.features = diskFeatures(host.multiConn);
    this.fast = new FastAccess({ offer: () => this.#offer(), onWritable: () => this.#beginNativeWrites() });
  }

  get lease(): AnswerLease | undefined {
    return this.#host.lease;
  }

  get fence(): SessionFence | undefined {
    return this.#fence;
  }

  /** What native threads may still do has ended when `changes` is empty, and `fast.refresh` resolves. */
  set fence(fence: SessionFence | undefined) {
    this.#fence = fence;
    void this.fast.refresh();
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    this.#use();
    if (this.fence?.forReads || this.lease?.isValid() === false) return false;
    return this.#host.here?.readNow(target, targetStart, lengthBytes, offset) ?? false;
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    if (this.fence?.forReads || this.lease?.isValid() === false) return false;
    return this.#host.here?.isZeroNow(offset, lengthBytes) ?? false;
  }

  async read(target: Buffer, offset: number, options?: RequestOptions): Promise<Place> {
    return this.#look((device, left) => device.read(target, offset, left), options);
  }

  async extents(offset: number, lengthBytes: number, maxCount: number, options?: RequestOptions): Promise<Extent[]> {
    return this.#look((device, left) => device.extents(offset, lengthBytes, maxCount, left), options);
  }

  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
    return this.#host.here?.cachedExtents(offset, lengthBytes, maxCount) ?? [{ lengthBytes, cached: false }];
  }

  async cache(offset: number, lengthBytes: number, options?: RequestOptions): Promise<void> {
    // At another node's disk there is no cache of this host to bring it into.
    await this.#host.here?.cache(offset, lengthBytes, options);
  }

  async flush(options?: RequestOptions): Promise<void> {
    await this.#look((device, left) => device.flush(left), options);
  }

  write(source: Buffer, offset: number, options: WriteOptions = {}): Promise<void> {
    return this.#change((disk) => disk.write(source, offset, options), options);
  }

  writeZeroes(offset: number, lengthBytes: number, options: WriteZeroesOptions = {}): Promise<void> {
    return this.#change((disk) => disk.writeZeroes(offset, lengthBytes, options), options);
  }

  trim(offset: number, lengthBytes: number, options: WriteOptions = {}): Promise<void> {
    return this.#change((disk) => disk.trim(offset, lengthBytes, options), options);
  }

  /** The disk goes on without it. What has not begun by then is not done any more. */
  async close(): Promise<void> {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#host.left(this);
  }

  /** @throws AbortedError */
  #checkAttached(): void {
    if (this.#hasLeft) throw new AbortedError(`a request of ${this.client.text}, which has left the disk`);
  }

  #use(): void {
    if (this.isUsed) return;
    this.isUsed = true;
    void this.fast.refresh();
  }

  /** Reads under the rules of `#look`, writes under those of `#change`. */
  #offer(): FastOffer | undefined {
    const { files, gate } = this.#host;
    // One that has grown since is another size than this client was told.
    if (!this.isUsed || this.fence?.forReads || files?.overlay?.sizeBytes !== this.sizeBytes) return undefined;
    const { overlay, image, lease } = files;
    return { overlay, image, lease, writable: this.hasWritten && this.fence === undefined && gate.isOpen && this.#host.mayChange(this) };
  }

  /** Counts as a change that is under way for as long as native threads may write. */
  #beginNativeWrites(): () => void {
    const { gate, files } = this.#host;
    const endWrites = files?.beginWrites?.();
    gate.enter();
    this.changes.enter();
    return () => {
      endWrites?.();
      this.changes.leave();
      gate.leave();
    };
  }

  /** Reading and flushing, here or at the owner; again where ownership moved meanwhile. */
  async #look<T>(work: (device: BlockDevice, options: RequestOptions) => Promise<T>, options: RequestOptions = {}): Promise<T> {
    this.#use();
    const left = this.#host.countdown(options);
    let isFirst = true;
    for (;;) {
      this.#checkAttached();
      if (this.fence?.forReads) throw fencedError(this.fence);
      const { here, lease } = this.#host;
      if (here !== undefined && lease?.isValid() !== false) {
        try {
          const found = await work(here, isFirst ? options : left());
          if (lease?.isValid() !== false) return found;
        } catch (error) {
          // What failed since the disk has moved on meanwhile is asked of its next owner.
          if (this.#host.here === here) throw error;
        }
        isFirst = false;
        continue;
      }
      isFirst = false;
      let view: BlockDevice | undefined;
      try {
        if (here !== undefined) {
          await this.#mayAnswer(lease, left);
          continue;
        }
        view = await this.#host.view();
        if (this.fence?.forReads) continue;
        return await work(view, left());
      } catch (error) {
        if (view !== undefined && errorCode(error) === 'ERR_NOT_OWNER') await this.#host.relocate(view);
        await this.#pause(error, left);
      }
    }
  }

  /** Resolves when the lease holds. @throws CopseError `ERR_FENCED`, `ERR_NOT_OWNER` when it is lost; `ERR_DEADLINE`, `ERR_ABORTED` */
  async #mayAnswer(lease: AnswerLease | undefined, left: () => RequestOptions): Promise<void> {
    if (lease === undefined || lease.isValid() || (await lease.settled(left()))) return;
    if (this.fence !== undefined) throw fencedError(this.fence);
    throw new CopseError('ERR_NOT_OWNER', 'another node has taken the disk by force');
  }

  /** @throws what the request failed with, when that does not pass, or not in time */
  async #pause(error: unknown, left: () => RequestOptions): Promise<void> {
    if (!passing.has(errorCode(error) ?? '')) throw error;
    try {
      await this.#host.pause(left());
    } catch (ended) {
      throw errorCode(ended) === 'ERR_DEADLINE' ? error : ended;
    }
  }

  async #change(work: (disk: BlockDevice) => Promise<void>, options: RequestOptions): Promise<void> {
    const { gate } = this.#host;
    this.#use();
    let left: (() => RequestOptions) | undefined;
    for (;;) {
      this.#checkAttached();
      if (this.fence !== undefined) {
        this.#host.refused(this);
        throw fencedError(this.fence);
      }
      const { here, lease } = this.#host;
      const isLate = lease?.isValid() === false;
      if (here === undefined || isLate || !gate.isOpen || !this.#host.mayChange(this)) {
        left ??= this.#host.countdown(options);
        const rest = left;
        if (isLate) {
          await this.#mayAnswer(lease, rest).catch((error: unknown) => this.#pause(error, rest));
          continue;
        }
        await this.#host.admit(this, rest()).catch((error: unknown) => this.#pause(error, rest));
        continue;
      }
      gate.enter();
      this.changes.enter();
      if (!this.hasWritten) {
        this.hasWritten = true;
        void this.fast.refresh();
      }
      try {
        await work(here);
      } finally {
        this.changes.leave();
        gate.leave();
      }
      // It is done, and not said yet. What another node does not have must not be acknowledged.
      if (lease?.isValid() === false) await this.#mayAnswer(lease, left ?? this.#host.countdown(options));
      return;
    }
  }
}

/** What every disk can be asked for, wherever its owner is. */
export function diskFeatures(multiConn: boolean): DeviceFeatures {
  return { readOnly: false, multiConn, trim: true, writeZeroes: true, fastZero: true };
}
