/** `copse image add` */
import type { Command } from 'commander';
import { absoluteUrl } from '../../config/url.js';
import { checkImageName, parseChunkSize, parseDuration, parsePair } from '../../config/value.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeImage } from '../describe.js';
import { collect } from '../option.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions {
  format?: string;
  chunkSize?: string;
  deadline?: string;
  backing?: string[];
}

const examples = `
Examples:
  copse image add debian-12 https://images.example/debian-12.raw
  copse image add debian-12 ./debian-12.qcow2 --deadline 2m
  copse image add app nbd://store/app --chunk-size 64K
  copse image add web web.qcow2 --backing base.qcow2=debian-12`;

export function addImageAddCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('add')
      .description("pin an origin's present content and serve it under a name")
      .argument('<name>', 'name of the export')
      .argument('<url>', 'https://, http://, nbd://, nbd+unix://, file: or a path')
      .option('--format <format>', 'raw, or a format of qemu-nbd (default: detected by content)')
      .option('--chunk-size <size>', 'unit of fetching and caching, 64K to 1M')
      .option('--deadline <duration>', "deadline of a guest's request, as in 30s; 0 waits for ever")
      .option('--backing <file=image>', 'backing file that may be used, and the image that stands for it (repeatable)', collect)
      .addHelpText('after', examples),
  ).action(async (name: string, url: string, options: Options) => {
    const request = {
      name: checkImageName(name),
      url: absoluteUrl(url, process.cwd()),
      format: options.format,
      chunkSizeBytes: options.chunkSize === undefined ? undefined : parseChunkSize(options.chunkSize),
      deadlineMs: options.deadline === undefined ? undefined : parseDuration(options.deadline),
      backing: options.backing && Object.fromEntries(options.backing.map((pair) => parsePair(pair, '--backing FILE=IMAGE'))),
    };
    const { image, listeners } = await withDaemon(options, async (control) => {
      const added = await control.addImage(request);
      return { image: added, listeners: options.json ? [] : (await control.status()).listeners };
    });
    if (options.json) printJson(image);
    else printText(describeImage(image, listeners));
  });
}
