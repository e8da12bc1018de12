/** `copse image repin` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeImage } from '../describe.js';
import { printJson, printText } from '../output.js';

export function addImageRepinCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('repin')
      .description("move a name to the origin's present content; attached clients keep the old content")
      .argument('<name>', 'name of the image'),
  ).action(async (name: string, options: DaemonOptions) => {
    const { image, listeners } = await withDaemon(options, async (control) => {
      const repinned = await control.images.repin(name);
      return { image: repinned, listeners: options.json ? [] : (await control.node.status()).listeners };
    });
    if (options.json) printJson(image);
    else printText(describeImage(image, listeners));
  });
}
