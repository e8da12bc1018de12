/** What every way of moving a VM is given, and what it is to the bench. */
import type { Closeable } from '../../../src/base/lifecycle.js';
import type { Lab } from '../../lab/lab.js';
import type { LabPlace } from '../../lab/place.js';
import type { ImageFile } from '../harness/image-file.js';
import type { FarOrigin } from '../storm/lab/origin.js';
import type { Guest } from './lab/guest.js';
import type { BlockNode, Vm } from './lab/vm.js';

export interface MigrationContext {
  rounds: number;
  /** On a real file system. Everything in it goes when the bench ends. */
  workDir: string;
  lab: Lab;
  source: LabPlace;
  destination: LabPlace;
  /** Where storage is that belongs to neither. */
  third: LabPlace;
  origin: FarOrigin;
  guest: Guest;
  /** All of the disk's size, no data; the origin serves it. */
  base: ImageFile;
  /** What is written to the disk before the VM starts: its first part, all data. */
  dirty: ImageFile;
  say(text: string): void;
}

/** A disk with the dirty data, ready for a VM that is to be moved. */
export interface PreparedDisk extends Closeable {
  readonly atSource: readonly BlockNode[];
  readonly atDestination: readonly BlockNode[];
  /** Moves what has to be moved before the VM. */
  beforeMigration?(source: Vm, destination: Vm): Promise<void>;
  /** The VM is stopped at the source and does not run at the destination yet. */
  atSwitchover?(source: Vm, destination: Vm): Promise<void>;
  /** What storage has moved between the two hosts so far. */
  movedBytes(): Promise<number>;
  /** Resolves once the source's host is of no more use to the disk; that VM is gone. */
  completed(): Promise<void>;
  /** Why the disk's content is not what it must be; undefined when it is. Both VMs are gone. */
  damage(): Promise<string | undefined>;
}

/** One way to have a VM's disk at another host. */
export interface Way extends Closeable {
  readonly name: 'shared' | 'copse' | 'mirror';
  readonly title: string;
  prepare(): Promise<PreparedDisk>;
}
