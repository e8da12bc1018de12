/** Last epoch under which this node owned a disk, from its files and from its notes. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { syncDirectory } from '../../base/replace-file.js';
import { readOwnerFile } from '../folder/owner-file.js';
import type { OwnerState } from '../protocol/record.js';
import type { DiskNotes } from '../session/notes.js';

export interface HeldEpochsOptions {
  diskDir: string;
  notes: DiskNotes;
  /** Owner file of a disk that is open. */
  stateOf(uuid: string): OwnerState | undefined;
}

export class HeldEpochs {
  readonly #options: HeldEpochsOptions;

  constructor(options: HeldEpochsOptions) {
    this.#options = options;
  }

  hasFiles(uuid: string): boolean {
    return existsSync(this.#ownerPath(uuid));
  }

  /**
   * @returns 0 if this node never owned the disk
   * @throws the error of reading its owner file: then no node can tell
   */
  last(uuid: string): number {
    const { notes, stateOf } = this.#options;
    const held = notes.heldEpoch(uuid);
    const open = stateOf(uuid);
    // Files that could not be opened, or are being changed, count too.
    if (open === undefined && !this.hasFiles(uuid)) return held;
    const { state, epoch } = open ?? readOwnerFile(this.#ownerPath(uuid)).state;
    return state === 'incoming' ? held : Math.max(held, epoch);
  }

  /** As `last`. Closed files are durable as they were read when it returns. */
  durably(uuid: string): number {
    if (this.#options.stateOf(uuid) === undefined && this.hasFiles(uuid)) this.sync(uuid);
    return this.last(uuid);
  }

  /** Makes durable what the names in the disk's folder say: a failure may have come just before. */
  sync(uuid: string): void {
    const { diskDir } = this.#options;
    syncDirectory(join(diskDir, uuid));
    syncDirectory(diskDir);
  }

  #ownerPath(uuid: string): string {
    return join(this.#options.diskDir, uuid, 'owner.json');
  }
}
