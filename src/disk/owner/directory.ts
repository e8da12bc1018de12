/** Questions of one disk to the registry of its node: where owners are, and where files lie. */
import type { Room } from '../../base/room.js';
import type { DiskFolder } from '../folder/folder.js';
import type { HostedDisk } from '../hosted/hosted-disk.js';
import type { Replica } from '../hosted/replica.js';
import type { KnownDisk } from '../knowledge/known-disks.js';
import type { Claim, Proof } from '../protocol/chain.js';
import type { NodeRef } from '../protocol/record.js';

export interface DiskDirectory {
  readonly diskDir: string;
  readonly room: Room | undefined;
  /**
   * Finds the owner, as far as this node or any that answers knows it.
   *
   * @throws CopseError `ERR_OWNER_UNREACHABLE`, `ERR_NO_SUCH_DISK`
   */
  locate(uuid: string, name: string): Promise<NodeRef>;
  openHosted(folder: DiskFolder): Promise<HostedDisk>;
  /** Opens the files of the disk as they are on this host now; they are closed. */
  reopen(uuid: string): Promise<HostedDisk | undefined>;
  /** True if files of the disk are on this host, open or not. */
  hasFiles(uuid: string): boolean;
  /** Ends a copy that is made ahead. Its blocks stay where they are. */
  endCopy(uuid: string): Promise<{ replica: Replica; replicated(block: number): boolean } | undefined>;
  /** Last epoch under which this node owned the disk, durable when it returns. */
  durablyHeldEpoch(uuid: string): number;
  /** Owner that was told of last, where another node is it. */
  latest(uuid: string): KnownDisk | undefined;
  /** Judges the claim of another node along the chain of grants. */
  prove(claim: Claim): Promise<Proof>;
  /** Owner, place or attached nodes of the disk have changed. */
  changed(uuid: string): void;
  /** Work that kept the export has ended. */
  idle(uuid: string): void;
}
