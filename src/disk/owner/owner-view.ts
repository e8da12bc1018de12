/**
 * The disk at its owner, for the sessions of this node: opened when it is first wanted, and anew when ownership has
 * moved.
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
  /** Who owns it as was told last. */
  toldOwner(): NodeRef | undefined;
  /** Whether anybody here wants the disk still. */
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

  /** `undefined`: as far as anybody knows it is this node. @throws as `locate` does; CopseError `ERR_NOT_OWNER` when nobody wants it any more */
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

  /** Leaves an owner that was deposed, as others tell: it may not know, or not answer any more. */
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
