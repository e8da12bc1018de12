/** Parts of a request to a disk's ownership that are no plain data. The machine never sees them. */
import type { DiskFolder } from '../folder/folder.js';
import type { HostedDisk } from '../hosted/hosted-disk.js';
import type { DiskSession } from '../session/session.js';

export interface Wish {
  /** Session whose change is the reason. */
  writer?: DiskSession | undefined;
  /** Throws what is in the way of a removal. */
  check?(hosted: HostedDisk): void;
  /** Is called as the effect `work`, with the files that are open. */
  work?(hosted: HostedDisk | undefined): Promise<unknown>;
  /** Opens the files after a change. */
  open?(folder: DiskFolder): Promise<HostedDisk>;
  /** Judges a claim, in place of one look along the chain of grants. */
  prove?(): Promise<unknown>;
}
