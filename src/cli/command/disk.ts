/** `copse disk …`: commands about disks. */
import type { Command } from 'commander';
import { addDiskAcceptLossCommand } from './disk-accept-loss.js';
import { addDiskCreateCommand } from './disk-create.js';
import { addDiskExportCommand } from './disk-export.js';
import { addDiskImportCommand } from './disk-import.js';
import { addDiskLsCommand } from './disk-ls.js';
import { addDiskMigrateCommand } from './disk-migrate.js';
import { addDiskPromoteCommand } from './disk-promote.js';
import { addDiskRenameCommand } from './disk-rename.js';
import { addDiskResizeCommand } from './disk-resize.js';
import { addDiskRevertCommand } from './disk-revert.js';
import { addDiskRmCommand } from './disk-rm.js';
import { addDiskSnapshotCommand } from './disk-snapshot.js';
import { addDiskSnapshotRmCommand } from './disk-snapshot-rm.js';
import { addDiskStatusCommand } from './disk-status.js';
import { addDiskTakeCommand } from './disk-take.js';

export function addDiskCommands(parent: Command): void {
  const disk = parent.command('disk').description('create, show, snapshot, copy, move and remove the disks that VMs write to');
  addDiskCreateCommand(disk);
  addDiskLsCommand(disk);
  addDiskStatusCommand(disk);
  addDiskResizeCommand(disk);
  addDiskRenameCommand(disk);
  addDiskRmCommand(disk);
  addDiskSnapshotCommand(disk);
  addDiskRevertCommand(disk);
  addDiskSnapshotRmCommand(disk);
  addDiskExportCommand(disk);
  addDiskImportCommand(disk);
  addDiskPromoteCommand(disk);
  addDiskMigrateCommand(disk);
  addDiskTakeCommand(disk);
  addDiskAcceptLossCommand(disk);
}
