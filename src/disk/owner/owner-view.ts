/**
 * The disk at its owner, for the sessions of this node. It is opened for the first request, and
 * anew when ownership has moved.
 *
 * Invariant: `owner` is the node to which the open view leads.
 */
import { CopseError } from '../../base/error.js';
import type { BlockDevice } from '../../device/device.js';
import type { DiskRecord, NodeRef } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';

export interface OwnerViewOptions {
  peers: RemoteNodes | undefined;
  locate(uuid: string, name: string): Promise<NodeRef>;
  /** Owner that this node was told of last. */
  toldOwner(): NodeRef | undefined;
  /** True if a client here still uses the disk. */
  isWanted(): boolean;
}

export class OwnerView {
  readonly #options: OwnerViewOptions;
  #device: BlockDevice | undefined;
  #owner: NodeRef | undefined;

  constructor(options: OwnerViewOptions) {
    this.#options = options;
  }

  /** The node to which the view is open, unless another is told to own it now. */
  get owner(): NodeRef | undefined {
    this.follow();
    return this.#device === undefined ? undefined : this.#owner;
  }

  /**
   * @returns the disk at its owner; `undefined` if this node is said to be the owner
   * @throws the error of `locate`; CopseError `ERR_NOT_OWNER` if the clients here have left
   */
  async open({ uuid, name, sizeBytes }: DiskRecord): Promise<BlockDevice | undefined> {
    this.follow();
    if (this.#device !== undefined) return this.#device;
    const { peers, locate } = this.#options;
    const owner = await locate(uuid, name);
    if (peers === undefined || owner.id === peers.self.id) return undefined;
    // The owner would count this node as attached for as long as the view is open.
    if (!this.#options.isWanted()) throw new CopseError('ERR_NOT_OWNER', `disk "${name}": its clients here have left`);
    // Another request may have opened it meanwhile, at another owner.
    this.follow();
    if (this.#device === undefined) {
      this.#owner = owner;
      this.#device = peers.view(owner, uuid, sizeBytes);
    }
    return this.#device;
  }

  /** Leaves an owner that was deposed. It may not know that, or not answer any more. */
  follow(): void {
    const told = this.#options.toldOwner();
    if (this.#device !== undefined && told !== undefined && told.id !== this.#owner?.id) this.close();
  }

  /** The node behind `device` is not the owner. */
  async leave(device: BlockDevice): Promise<void> {
    if (this.#device !== device) return;
    this.close();
  }

  /** After what is under way. It may be opened again. */
  close(): void {
    const device = this.#device;
    this.#device = undefined;
    device?.close().catch(() => {});
  }
}
