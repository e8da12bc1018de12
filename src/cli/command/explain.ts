/** `copse explain` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeExplanation } from '../describe-explanation.js';
import { printJson, printText } from '../output.js';

export function addExplainCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('explain')
      .description("show where an export's bytes came from, and what its guests waited for")
      .argument('<export>', 'name of the export'),
  ).action(async (name: string, options: DaemonOptions) => {
    const explanation = await withDaemon(options, (control) => control.node.explain(name));
    if (options.json) printJson(explanation);
    else printText(describeExplanation(explanation));
  });
}
