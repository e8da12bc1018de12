/** `copse image status` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeImage } from '../describe.js';
import { printJson, printText } from '../output.js';

export function addImageStatusCommand(parent: Command): void {
  addDaemonOptions(
    parent.command('status').description('show all about one image, or about every image').argument('[name]', 'name of the image'),
  ).action(async (name: string | undefined, options: DaemonOptions) => {
    await withDaemon(options, async (control) => {
      const images = name === undefined ? await control.listImages() : [await control.imageStatus(name)];
      if (options.json) {
        printJson(name === undefined ? images : images[0]);
        return;
      }
      const { listeners } = await control.status();
      printText(images.map((image) => describeImage(image, listeners)).join('\n\n'));
    });
  });
}
