/** `copse node drain` */
import type { Command } from 'commander';
import type { DrainResult } from '../../admin/control.js';
import { formatSize } from '../../base/size.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { ExitCode } from '../exit-code.js';
import { runJob } from '../job.js';
import { printJson, printNote, printText } from '../output.js';
import { formatCount } from '../text.js';

interface Options extends DaemonOptions {
  undo?: boolean;
}

export function addNodeDrainCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('drain')
      .description("move disks and the cluster's last copies to other nodes; exits with 0 only if this host may be switched off")
      .option('--undo', 'end draining, so that the node is a home again'),
  ).action((options: Options) => (options.undo ? undrain(options) : drain(options)));
}

async function undrain(options: DaemonOptions): Promise<void> {
  await withDaemon(options, (control) => control.node.undrain());
  if (options.json) printJson({ draining: false });
  else printText('this node takes part again');
}

async function drain(options: DaemonOptions): Promise<void> {
  const outcome = await withDaemon(options, (control) =>
    runJob('drain', { quiet: options.json === true }, (job) => control.node.drain(job)),
  );
  if ('exitCode' in outcome) {
    process.exitCode = outcome.exitCode;
    printNote('the node goes on draining: "copse node drain" continues, "copse node drain --undo" ends that');
    return;
  }
  const { result } = outcome;
  if (!result.safe) process.exitCode = ExitCode.failed;
  if (options.json) printJson(result);
  else printText(describeDrain(result));
}

function describeDrain({ handedOnBytes, lastCopiesLeft, disksMoved, message }: DrainResult): string {
  const left = lastCopiesLeft === 0 ? '' : `, ${formatCount(lastCopiesLeft, 'chunk')} left that no other node holds`;
  const disks = disksMoved === 0 ? '' : `, ${formatCount(disksMoved, 'disk')} moved`;
  return `${formatSize(handedOnBytes)} handed on${left}${disks}\n${message}`;
}
