/** `copse disk migrate` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { runJob } from '../job.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions {
  to: string;
}

const notes = `
Run it before "virsh migrate --live": the disk then depends on this host for seconds only. A live migration works without it,
too; then the blocks follow afterwards. The guest is never paused. "copse disk status NAME" shows how far the copy is behind.`;

export function addDiskMigrateCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('migrate')
      .description('copy the written blocks ahead to another node while the guest runs, and hand the disk over when no client is attached')
      .argument('<name>', 'name of the disk')
      .requiredOption('--to <node>', 'id of the node, as "copse cluster status" shows it')
      .addHelpText('after', notes),
  ).action(async (name: string, options: Options) => {
    const { to } = options;
    const outcome = await withDaemon(options, (control) =>
      runJob(`migrate ${name}`, { quiet: options.json === true }, (job) => control.disks.migrate(name, to, job)),
    );
    if ('exitCode' in outcome) {
      process.exitCode = outcome.exitCode;
      return;
    }
    if (options.json) printJson({ name, to, ...outcome.result });
    else printText(`${name}: ${outcome.result.message}`);
  });
}
