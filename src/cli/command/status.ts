/** `copse status` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeDaemon } from '../describe.js';
import { printJson, printText } from '../output.js';

export function addStatusCommand(parent: Command): void {
  addDaemonOptions(parent.command('status').description('show the state of the daemon')).action(async (options: DaemonOptions) => {
    const status = await withDaemon(options, (control) => control.node.status());
    if (options.json) printJson(status);
    else printText(describeDaemon(status));
  });
}
