/** `copse image rm` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { addNamedExportOptions, confirmUnnamed, type NamedExportOptions } from '../named-export.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions, NamedExportOptions {}

export function addImageRmCommand(parent: Command): void {
  addDaemonOptions(
    addNamedExportOptions(
      parent
        .command('rm')
        .alias('remove')
        .description('remove an image without clients, with its cached chunks, and with its file if a disk was promoted to it')
        .argument('<name>', 'name of the image'),
    ),
  ).action(async (name: string, options: Options) => {
    await withDaemon(options, async (control) => {
      await confirmUnnamed(control, name, 'remove it', options);
      await control.images.remove(name);
    });
    if (options.json) printJson({ removed: name });
    else printText(`removed ${name}`);
  });
}
