/** `copse disk rm` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { printJson, printText } from '../output.js';

export function addDiskRmCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('rm')
      .alias('remove')
      .description('remove a disk that no client is attached to, with its snapshots: what was written is gone')
      .argument('<name>', 'name of the disk'),
  ).action(async (name: string, options: DaemonOptions) => {
    await withDaemon(options, (control) => control.removeDisk(name));
    if (options.json) printJson({ removed: name });
    else printText(`removed ${name}`);
  });
}
