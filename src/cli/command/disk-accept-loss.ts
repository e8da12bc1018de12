/** `copse disk accept-loss` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions {
  yes?: boolean;
}

const notes = `
After a sync of a disk's data failed, the kernel may have dropped writes that clients were told are done. No flush of the disk
succeeds from then on, restarts included, and the disk is not handed over. Without --yes the command says which writes may be
lost, and ends with exit code 5. With --yes it writes once more what memory still has of the disk, and lets flushes succeed.
Repair the disk below first: while syncs fail, nothing changes. Check the guest's file system afterwards.`;

export function addDiskAcceptLossCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('accept-loss')
      .description('let flushes of a disk succeed again after a failed sync lost data of it')
      .argument('<name>', 'name of the disk')
      .option('--yes', 'it is known which writes may be lost')
      .addHelpText('after', notes),
  ).action(async (name: string, options: Options) => {
    const status = await withDaemon(options, (control) => control.disks.acceptLoss(name, { confirmed: options.yes }));
    if (options.json) printJson(status);
    else printText(`${name} has no loss that is not accepted: its flushes succeed again`);
  });
}
