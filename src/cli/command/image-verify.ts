/** `copse image verify` */
import type { Command } from 'commander';
import { formatSize } from '../../base/size.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { ExitCode } from '../exit-code.js';
import { runJob } from '../job.js';
import { printJson, printText } from '../output.js';

export function addImageVerifyCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('verify')
      .description('compare the cached chunks of an image with their checksums, and drop damaged ones (exit code 6)')
      .argument('<name>', 'name of the image'),
  ).action(async (name: string, options: DaemonOptions) => {
    const outcome = await withDaemon(options, (control) =>
      runJob(`verify ${name}`, { quiet: options.json === true }, (job) => control.images.verify(name, job)),
    );
    if ('exitCode' in outcome) {
      process.exitCode = outcome.exitCode;
      return;
    }
    const { result } = outcome;
    if (result.droppedBytes > 0) process.exitCode = ExitCode.damaged;
    if (options.json) printJson({ name, ...result });
    else printText(`${name}: ${formatSize(result.totalBytes)} verified, ${describeDamage(result.droppedBytes)}`);
  });
}

function describeDamage(droppedBytes: number): string {
  return droppedBytes === 0 ? 'all good' : `${formatSize(droppedBytes)} were damaged; they are dropped, and fetched again when needed`;
}
