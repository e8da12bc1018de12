/** `copse disk snapshot` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { runJob } from '../job.js';
import { printJson, printText } from '../output.js';

const notes = `
The snapshot of a disk in use is as after a power cut, unless the guest froze its file systems first.
With reflinks (XFS, btrfs) it takes no time. On other file systems the overlay is copied, which is
refused while clients are attached. "copse disk status NAME" lists the snapshots.`;

export function addDiskSnapshotCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('snapshot')
      .description('keep the present state of a disk, for "copse disk revert"')
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
