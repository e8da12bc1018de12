/** `copse disk create`, and the options that it shares with `copse disk import`. */
import type { Command } from 'commander';
import type { DiskCreateRequest } from '../../admin/control.js';
import { CopseError } from '../../base/error.js';
import { checkExportName, checkKnownName } from '../../base/export-name.js';
import { parseSize } from '../../base/size.js';
import { parseDuration } from '../../config/value.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeDisk } from '../describe-disk.js';
import { printJson, printText } from '../output.js';

export interface DiskOptions extends DaemonOptions {
  size?: string;
  handover?: string;
  multiConn?: boolean;
  deadline?: string;
}

interface Options extends DiskOptions {
  image?: string;
}

const examples = `
Examples:
  copse disk create vm1 --image debian-12
  copse disk create vm2 --image debian-12 --size 40G
  copse disk create scratch --size 100G --handover explicit`;

export function addDiskCreateCommand(parent: Command): void {
  const command = parent
    .command('create')
    .description('create a disk over an image, or a blank one; it takes no time, at any size')
    .argument('<name>', 'name of the disk, and of its export')
    .option('--image <image>', 'image below the disk (default: none, a blank disk)')
    .option('--size <size>', "size of the disk, as in 40G (default: the image's)")
    .addHelpText('after', examples);
  addDaemonOptions(addDiskOptions(command)).action(async (name: string, options: Options) => {
    if (options.image === undefined && options.size === undefined) {
      throw new CopseError('ERR_OPTION', `a disk needs --image IMAGE or, if it is blank, --size SIZE`);
    }
    const request = { ...diskRequest(name, options), image: options.image === undefined ? undefined : checkKnownName(options.image) };
    const { disk, listeners } = await withDaemon(options, async (control) => {
      const created = await control.disks.create(request);
      return { disk: created, listeners: options.json ? [] : (await control.node.status()).listeners };
    });
    if (options.json) printJson(disk);
    else printText(describeDisk(disk, listeners));
  });
}

export function addDiskOptions(command: Command): Command {
  return command
    .option(
      '--handover <how>',
      'auto (default): the disk follows a client that writes on another node; explicit: only by "copse disk take"',
    )
    .option('--multi-conn', 'clients may write over several connections at once, and none is fenced (for a cluster file system)')
    .option('--deadline <duration>', "deadline of a guest's request, as in 30s; 0 means none");
}

/** @throws CopseError `ERR_NAME`, `ERR_SIZE`, `ERR_OPTION`, `ERR_DURATION` */
export function diskRequest(name: string, { size, handover, multiConn, deadline }: DiskOptions): DiskCreateRequest {
  return {
    name: checkExportName(name),
    sizeBytes: size === undefined ? undefined : parseDiskSize(size),
    handover: handover === undefined ? undefined : checkHandover(handover),
    multiConn,
    deadlineMs: deadline === undefined ? undefined : parseDuration(deadline),
  };
}

/** @throws CopseError `ERR_SIZE` */
export function parseDiskSize(text: string): number {
  const sizeBytes = parseSize(text);
  if (sizeBytes === 0) throw new CopseError('ERR_SIZE', `"${text}" is not the size of a disk: write a size above 0, as in 40G`);
  return sizeBytes;
}

function checkHandover(text: string): 'auto' | 'explicit' {
  if (text === 'auto' || text === 'explicit') return text;
  throw new CopseError('ERR_OPTION', `"${text}" is not a rule for handing a disk over: write auto or explicit`);
}
