/** `copse cluster status` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeCluster } from '../describe-cluster.js';
import { printJson, printText } from '../output.js';

export function addClusterStatusCommand(parent: Command): void {
  addDaemonOptions(
    parent.command('status').description('show the members as this node sees them, and peers that it does not trust'),
  ).action(async (options: DaemonOptions) => {
    const status = await withDaemon(options, (control) => control.cluster.status());
    if (options.json) printJson(status);
    else printText(describeCluster(status));
  });
}
