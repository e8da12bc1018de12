/** `copse disk resize` */
import type { Command } from 'commander';
import { formatSize } from '../../base/size.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { printJson, printText } from '../output.js';
import { parseDiskSize } from './disk-create.js';

export function addDiskResizeCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('resize')
      .description('grow a disk without clients; the new part reads as zeros')
      .argument('<name>', 'name of the disk')
      .argument('<size>', 'its new size, as in 40G'),
  ).action(async (name: string, size: string, options: DaemonOptions) => {
    const sizeBytes = parseDiskSize(size);
    const disk = await withDaemon(options, (control) => control.disks.resize(name, sizeBytes));
    if (options.json) printJson(disk);
    else printText(`${name}: ${formatSize(disk.sizeBytes)} (${disk.sizeBytes} bytes)`);
  });
}
