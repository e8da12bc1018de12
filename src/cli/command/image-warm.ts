/** `copse image warm` */
import type { Command } from 'commander';
import { formatSize } from '../../base/size.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { runJob } from '../job.js';
import { printJson, printText } from '../output.js';

export function addImageWarmCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('warm')
      .description('fetch what this host does not hold of an image; ^C stops, what was fetched stays')
      .argument('<name>', 'name of the image'),
  ).action(async (name: string, options: DaemonOptions) => {
    const outcome = await withDaemon(options, (control) =>
      runJob(`warm ${name}`, { quiet: options.json === true }, (job) => control.warmImage(name, job)),
    );
    if ('exitCode' in outcome) {
      process.exitCode = outcome.exitCode;
      return;
    }
    const { result } = outcome;
    if (options.json) printJson({ name, ...result });
    else printText(`${name} is warm: ${formatSize(result.totalBytes)}, ${formatSize(result.fetchedBytes)} of it fetched now`);
  });
}
