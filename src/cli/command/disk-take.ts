/** `copse disk take` */
import type { Command } from 'commander';
import type { Control, DiskTakeResult } from '../../admin/control.js';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import { formatSize } from '../../base/size.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions {
  force?: boolean;
  acceptLoss?: boolean;
}

const notes = `
Fenced clients on this node may write again, and clients of the former owner get errors: first make sure that only one client
uses the disk. With --force the owner is not asked; the command first says which blocks are lost. If that owner comes back, it
can't write any more.`;

export function addDiskTakeCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('take')
      .description('make this node the owner of a disk, and let fenced clients write again')
      .argument('<name>', 'name of the disk')
      .option('--force', 'take it from an owner that is lost for good')
      .option('--accept-loss', 'with --force: give up the blocks that only the owner had')
      .addHelpText('after', notes),
  ).action(async (name: string, options: Options) => {
    const { force, acceptLoss } = options;
    if (acceptLoss && !force) throw new CopseError('ERR_OPTION', '--accept-loss needs --force: an owner that answers loses nothing');
    const result = await withDaemon(options, (control) => take(control, name, { force, acceptLoss }));
    if (options.json) printJson(result);
    else printText(describeTake(result));
  });
}

async function take(control: Control, name: string, options: { force: boolean | undefined; acceptLoss: boolean | undefined }) {
  try {
    return await control.disks.take(name, options);
  } catch (error) {
    if (errorCode(error) !== 'ERR_DISK_LOSS' || errorMessage(error).includes('--accept-loss')) throw error;
    throw new CopseError('ERR_DISK_LOSS', `${errorMessage(error)}\nto give them up: copse disk take ${name} --force --accept-loss`);
  }
}

function describeTake({ name, from, owner, epoch, toCome, fences }: DiskTakeResult): string {
  const head =
    from === undefined
      ? `${owner} owned ${name} already; no client is fenced any more`
      : `${owner} owns ${name} now, epoch ${epoch}; before: ${from}`;
  const rest = toCome.map(
    ({ node, bytes, reachable }) => `${formatSize(bytes)} still to come from ${node}${reachable ? '' : ', which does not answer'}`,
  );
  return [head, ...rest, ...(fences.length > 0 ? [`clients that were displaced since: ${fences.length}`] : [])].join('\n');
}
