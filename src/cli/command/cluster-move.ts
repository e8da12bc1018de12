/** `copse cluster move` */
import type { Command } from 'commander';
import { checkClusterChoice } from '../../config/value.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { printJson, printText } from '../output.js';

export function addClusterMoveCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('move')
      .description('move this node to another cluster, at once or with the next start')
      .argument('<name>', 'name of the cluster, or "auto" to measure and choose the nearest again'),
  ).action(async (name: string, options: DaemonOptions) => {
    const chosen = checkClusterChoice(name);
    const result = await withDaemon(options, (control) => control.cluster.move(chosen));
    if (options.json) printJson(result);
    else printText(result.message);
  });
}
