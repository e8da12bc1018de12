/** `copse image ls` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeImages } from '../describe.js';
import { printJson, printText } from '../output.js';

export function addImageLsCommand(parent: Command): void {
  addDaemonOptions(parent.command('ls').alias('list').description('list all images')).action(async (options: DaemonOptions) => {
    const images = await withDaemon(options, (control) => control.images.list());
    if (options.json) printJson(images);
    else printText(describeImages(images));
  });
}
