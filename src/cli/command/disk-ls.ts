/** `copse disk ls` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeDisks } from '../describe-disk.js';
import { printJson, printText } from '../output.js';

export function addDiskLsCommand(parent: Command): void {
  addDaemonOptions(
    parent.command('ls').alias('list').description("list this node's disks, and those of other nodes of the cluster"),
  ).action(async (options: DaemonOptions) => {
    const disks = await withDaemon(options, (control) => control.disks.list());
    if (options.json) printJson(disks);
    else printText(describeDisks(disks));
  });
}
