/** `copse disk rm` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { addNamedExportOptions, confirmUnnamed, type NamedExportOptions } from '../named-export.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions, NamedExportOptions {}

export function addDiskRmCommand(parent: Command): void {
  addDaemonOptions(
    addNamedExportOptions(
      parent
        .command('rm')
        .alias('remove')
        .description('remove a disk without clients, with its snapshots; its data are lost')
        .argument('<name>', 'name of the disk'),
    ),
  ).action(async (name: string, options: Options) => {
    await withDaemon(options, async (control) => {
      await confirmUnnamed(control, name, 'remove it', options);
      await control.disks.remove(name);
    });
    if (options.json) printJson({ removed: name });
    else printText(`removed ${name}`);
  });
}
