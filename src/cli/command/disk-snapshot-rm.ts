/** `copse disk snapshot-rm` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { printJson, printText } from '../output.js';

export function addDiskSnapshotRmCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('snapshot-rm')
      .alias('snapshot-delete')
      .description('remove a snapshot; the disk stays as it is')
      .argument('<name>', 'name of the disk')
      .argument('<snapshot>', 'name of the snapshot'),
  ).action(async (name: string, snapshot: string, options: DaemonOptions) => {
    const disk = await withDaemon(options, (control) => control.disks.removeSnapshot(name, snapshot));
    if (options.json) printJson(disk);
    else printText(`removed snapshot ${snapshot} of ${name}`);
  });
}
