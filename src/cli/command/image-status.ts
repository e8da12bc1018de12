/** `copse image status` */
import type { Command } from 'commander';
import { CopseError } from '../../base/error.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeImage } from '../describe.js';
import { describeClusterImage } from '../describe-cluster.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions {
  cluster?: boolean;
}

export function addImageStatusCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('status')
      .description('show one image or all images')
      .argument('[name]', 'name of the image')
      .option('--cluster', 'show the chunks that the cluster holds'),
  ).action(async (name: string | undefined, options: Options) => {
    if (options.cluster && name === undefined) {
      throw new CopseError('ERR_OPTION', '--cluster needs the name of an image: write copse image status NAME --cluster');
    }
    await withDaemon(options, async (control) => {
      if (options.cluster && name !== undefined) {
        const held = await control.cluster.imageStatus(name);
        if (options.json) printJson(held);
        else printText(describeClusterImage(held));
        return;
      }
      const images = name === undefined ? await control.images.list() : [await control.images.status(name)];
      if (options.json) {
        printJson(name === undefined ? images : images[0]);
        return;
      }
      const { listeners } = await control.node.status();
      printText(images.map((image) => describeImage(image, listeners)).join('\n\n'));
    });
  });
}
