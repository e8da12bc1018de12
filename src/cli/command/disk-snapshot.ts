/** `copse disk snapshot` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { runJob } from '../job.js';
import { printJson, printText } from '../output.js';

const notes = `
Of a disk in use a snapshot is what a power cut would leave, unless its guest froze its file systems first.
Where the file system has reflinks (XFS, btrfs) it takes no time; elsewhere the overlay is copied, which is
refused while clients are attached. "copse disk status NAME" lists the snapshots.`;

export function addDiskSnapshotCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('snapshot')
      .description('keep the disk as it is now, to come back to by "copse disk revert"')
      .argument('<name>', 'name of the disk')
      .argument('<snapshot>', 'name of the snapshot')
      .addHelpText('after', notes),
  ).action(async (name: string, snapshot: string, options: DaemonOptions) => {
    const outcome = await withDaemon(options, (control) =>
      runJob(`snapshot ${name}`, { quiet: options.json === true }, (job) => control.disks.snapshot(name, snapshot, job)),
    );
    if ('exitCode' in outcome) {
      process.exitCode = outcome.exitCode;
      return;
    }
    if (options.json) printJson({ name, snapshot, ...outcome.result });
    else printText(`${name}: snapshot ${snapshot} is made`);
  });
}
