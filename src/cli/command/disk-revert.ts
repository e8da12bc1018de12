/** `copse disk revert` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { runJob } from '../job.js';
import { printJson, printText } from '../output.js';

export function addDiskRevertCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('revert')
      .description('bring a disk without clients back to a snapshot, which stays; later writes are lost')
      .argument('<name>', 'name of the disk')
      .argument('<snapshot>', 'name of the snapshot'),
  ).action(async (name: string, snapshot: string, options: DaemonOptions) => {
    const outcome = await withDaemon(options, (control) =>
      runJob(`revert ${name}`, { quiet: options.json === true }, (job) => control.disks.revert(name, snapshot, job)),
    );
    if ('exitCode' in outcome) {
      process.exitCode = outcome.exitCode;
      return;
    }
    if (options.json) printJson({ name, snapshot, ...outcome.result });
    else printText(`${name} is as it was at snapshot ${snapshot}`);
  });
}
