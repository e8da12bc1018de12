/** `copse image warm` */
import type { Command } from 'commander';
import { formatSize } from '../../base/size.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { runJob } from '../job.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions {
  cluster?: boolean;
}

export function addImageWarmCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('warm')
      .description('fetch the chunks of an image that this host lacks; ^C stops, and fetched chunks stay')
      .argument('<name>', 'name of the image')
      .option('--cluster', "fetch the chunks that the cluster lacks, once, spread over the cluster's homes"),
  ).action(async (name: string, options: Options) => {
    const { cluster = false } = options;
    const outcome = await withDaemon(options, (control) =>
      runJob(`warm ${name}`, { quiet: options.json === true }, (job) => control.images.warm(name, { ...job, cluster })),
    );
    if ('exitCode' in outcome) {
      process.exitCode = outcome.exitCode;
      return;
    }
    const { result } = outcome;
    if (options.json) printJson({ name, ...result });
    else
      printText(
        `${name} is warm${cluster ? ' in the cluster' : ''}: ${formatSize(result.totalBytes)}, ${formatSize(result.fetchedBytes)} of it fetched now`,
      );
  });
}
