/** `copse explain` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeExplanation } from '../describe-explanation.js';
import { printJson, printText } from '../output.js';

export function addExplainCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('explain')
      .description("show the sources of an export's bytes, and the waits of its guests")
      .argument('<export>', 'name of the export'),
  ).action(async (name: string, options: DaemonOptions) => {
    const explanation = await withDaemon(options, (control) => control.node.explain(name));
    if (options.json) printJson(explanation);
    else printText(describeExplanation(explanation));
  });
}
