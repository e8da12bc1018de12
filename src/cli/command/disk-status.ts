/** `copse disk status` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeDisk, describeDisks } from '../describe-disk.js';
import { printJson, printText } from '../output.js';

export function addDiskStatusCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('status')
      .description('show one disk or all disks: owner, blocks on other nodes, fences, snapshots')
      .argument('[name]', 'name of the disk'),
  ).action(async (name: string | undefined, options: DaemonOptions) => {
    await withDaemon(options, async (control) => {
      const disks = name === undefined ? await control.disks.list() : [await control.disks.status(name)];
      if (options.json) {
        printJson(name === undefined ? disks : disks[0]);
        return;
      }
      const { listeners } = await control.node.status();
      printText(disks.length === 0 ? describeDisks(disks) : disks.map((disk) => describeDisk(disk, listeners)).join('\n\n'));
    });
  });
}
