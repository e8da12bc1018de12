/** `copse image rename` */
import type { Command } from 'commander';
import { checkExportName } from '../../base/export-name.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { printJson, printText } from '../output.js';

export function addImageRenameCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('rename')
      .description('give an image that no client is attached to another name; domains that name it have to be changed, too')
      .argument('<name>', 'name of the image')
      .argument('<new-name>', 'its new name'),
  ).action(async (name: string, newName: string, options: DaemonOptions) => {
    checkExportName(newName);
    const image = await withDaemon(options, (control) => control.renameImage(name, newName));
    if (options.json) printJson(image);
    else printText(`${name} is ${image.name} now`);
  });
}
