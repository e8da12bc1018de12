/** `copse state forget` */
import type { Command } from 'commander';
import { formatSize } from '../../base/size.js';
import { chooseState } from '../../config/state-choice.js';
import { printJson, printText } from '../output.js';
import { formatCount } from '../text.js';

interface Options {
  state?: string;
  config?: string;
  json?: boolean;
}

const notes = `
When a newer version of Copse changes the format of a file, its first start keeps the replaced file below
before-VERSION/ in the state directory. This command removes all of them. It needs no daemon, and one may run.
Without kept files it removes nothing and succeeds.`;

export function addStateForgetCommand(parent: Command): void {
  parent
    .command('forget')
    .description('remove the files that an upgrade replaced and kept')
    .option('--state <dir>', 'state directory')
    .option('--config <file>', 'configuration of the daemon')
    .option('--json', 'print JSON')
    .addHelpText('after', notes)
    .action(async ({ state: stateDir, config: file, json }: Options) => {
      const dir = await chooseState({ stateDir, file });
      const { forgetKept } = await import('../../catalog/upgrade/kept.js');
      const removed = forgetKept(dir);
      if (json) {
        printJson({ stateDir: dir, removed });
        return;
      }
      if (removed.length === 0) printText(`nothing is kept in ${dir}`);
      for (const { path, fileCount, sizeBytes } of removed)
        printText(`removed ${path}: ${formatCount(fileCount, 'file')}, ${formatSize(sizeBytes)}`);
    });
}
