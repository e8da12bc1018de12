/** `copse disk rename` */
import type { Command } from 'commander';
import { checkExportName } from '../../base/export-name.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { addNamedExportOptions, confirmUnnamed, type NamedExportOptions } from '../named-export.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions, NamedExportOptions {}

export function addDiskRenameCommand(parent: Command): void {
  addDaemonOptions(
    addNamedExportOptions(
      parent
        .command('rename')
        .description('rename a disk without clients; change the domains that name it, too')
        .argument('<name>', 'name of the disk')
        .argument('<new-name>', 'its new name'),
    ),
  ).action(async (name: string, newName: string, options: Options) => {
    checkExportName(newName);
    const disk = await withDaemon(options, async (control) => {
      await confirmUnnamed(control, name, 'rename it', options);
      return control.disks.rename(name, newName);
    });
    if (options.json) printJson(disk);
    else printText(`${name} is ${disk.name} now`);
  });
}
