/** `copse image rm` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { printJson, printText } from '../output.js';

export function addImageRmCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('rm')
      .alias('remove')
      .description(
        'stop serving an image that no client is attached to, and drop its cached chunks, and the file that a disk was promoted to',
      )
      .argument('<name>', 'name of the image'),
  ).action(async (name: string, options: DaemonOptions) => {
    await withDaemon(options, (control) => control.removeImage(name));
    if (options.json) printJson({ removed: name });
    else printText(`removed ${name}`);
  });
}
