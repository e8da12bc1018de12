/** `copse disk accept-loss` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions {
  yes?: boolean;
}

const notes = `
After a failed sync the kernel may have dropped writes that the daemon had acknowledged. From then on no flush of the disk
succeeds, also after a restart, and the disk is not handed over. Without --yes the command says which writes may be lost,
and ends with exit code 5. With --yes it writes once more what memory still has of the disk, and lets flushes succeed.
Repair the host's disk first: while syncs fail, the command changes nothing. Check the guest's file system afterwards.`;

export function addDiskAcceptLossCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('accept-loss')
      .description('accept the loss of data by a failed sync, so that flushes succeed again')
      .argument('<name>', 'name of the disk')
      .option('--yes', 'accept that these writes may be lost')
      .addHelpText('after', notes),
  ).action(async (name: string, options: Options) => {
    const status = await withDaemon(options, (control) => control.disks.acceptLoss(name, { confirmed: options.yes }));
    if (options.json) printJson(status);
    else printText(`the loss of ${name} is accepted, and its flushes succeed again`);
  });
}
