/** `copse disk import`: makes a disk, and runs qemu-img on its export to fill it. */

import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Control, DiskCreateRequest } from '../../admin/control.js';
import { AbortedError, CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { JobOptions, Progress } from '../../base/job.js';
import { formatSize } from '../../base/size.js';
import { addDaemonOptions, withDaemon } from '../daemon.js';
import { describeDisk } from '../describe-disk.js';
import { reachableUri } from '../disk-uri.js';
import { flushExport } from '../flush-export.js';
import { runJob } from '../job.js';
import { printJson, printNote, printText } from '../output.js';
import { copyImage, type ImageFile, inspectImageFile } from '../qemu-img.js';
import { addDiskOptions, type DiskOptions, diskRequest } from './disk-create.js';

interface Options extends DiskOptions {
  format?: string;
}

/** Attempts to remove a disk whose client is about to leave, and the pause between them. */
const removeAttempts = 50;
const removePauseMs = 100;

const notes = `
The disk is complete: it needs neither FILE nor an image afterwards. To share FILE among many disks, add it as an image instead:
"copse image add IMAGE FILE", then "copse disk create NAME --image IMAGE". Give --format raw if a guest used FILE as a raw disk,
because the guest may have written another format's header to it. Needs qemu-img (package qemu-utils).

Examples:
  copse disk import vm1 vm1.qcow2
  copse disk import vm2 appliance.vmdk --size 40G`;

export function addDiskImportCommand(parent: Command): void {
  const command = parent
    .command('import')
    .description('create a disk from a file: raw, qcow2, or another format of qemu-img')
    .argument('<name>', 'name of the new disk, and of its export')
    .argument('<file>', 'the file on this host')
    .option('--size <size>', "size of the disk, as in 40G (default: the file's; never smaller)")
    .option('--format <format>', 'a format of qemu-img (default: detected by content)')
    .addHelpText('after', notes);
  addDaemonOptions(addDiskOptions(command)).action(async (name: string, file: string, options: Options) => {
    const request = diskRequest(name, options);
    await withDaemon(options, async (control) => {
      const outcome = await runJob(`import ${name}`, { quiet: options.json === true }, (job) =>
        importDisk(control, request, { path: resolve(file), format: options.format }, job),
      );
      if ('exitCode' in outcome) {
        process.exitCode = outcome.exitCode;
        return;
      }
      const disk = await control.disks.status(name);
      if (options.json) printJson(disk);
      else printText(describeDisk(disk, (await control.node.status()).listeners));
    });
  });
}

async function importDisk(
  control: Control,
  request: DiskCreateRequest,
  { path, format }: { path: string; format: string | undefined },
  job: JobOptions,
): Promise<Progress> {
  const { name } = request;
  const source = await inspectImageFile(path, format, job.signal);
  const { sizeBytes } = source;
  checkSource(path, source, request.sizeBytes);
  const { checkImageFile } = await import('../../origin/format/check-file.js');
  await checkImageFile(path, source.format, job.signal);
  const { listeners } = await control.node.status();
  await control.disks.create({ ...request, sizeBytes: request.sizeBytes ?? sizeBytes });
  try {
    const uri = await reachableUri(listeners, name);
    const copy = { what: `import of ${path}`, from: path, fromFormat: source.format, to: uri, toFormat: 'raw' };
    await copyImage({ ...copy, totalBytes: sizeBytes, intoZeros: true }, job);
    await flushExport(uri, job.signal);
    // The signal may have come during the flush.
    if (job.signal.aborted) throw new AbortedError(copy.what);
  } catch (error) {
    await removeAgain(control, name);
    throw error;
  }
  return { doneBytes: sizeBytes, totalBytes: sizeBytes };
}

/** @throws CopseError `ERR_FORMAT`, `ERR_SIZE` */
function checkSource(path: string, { sizeBytes, other, format }: ImageFile, wantedBytes: number | undefined): void {
  if (other !== undefined) {
    const remedy =
      other.kind === 'backing file'
        ? 'or add both as images (copse image add … --backing FILE=IMAGE) and create a disk over that'
        : 'and import that';
    throw new CopseError(
      'ERR_FORMAT',
      `${path} is not the whole image: it has the ${other.kind} "${other.name}", which qemu-img would read, too. If you trust that, make one file of both (qemu-img convert -f ${format} -O qcow2 ${path} WHOLE.qcow2), ${remedy}`,
    );
  }
  if (sizeBytes === 0) throw new CopseError('ERR_SIZE', `${path} is empty`);
  if (wantedBytes !== undefined && wantedBytes < sizeBytes) {
    throw new CopseError(
      'ERR_SIZE',
      `--size ${formatSize(wantedBytes)} is less than ${path} holds: ${formatSize(sizeBytes)} (${sizeBytes} bytes)`,
    );
  }
}

/** Removes the disk again. The daemon may still see the client for a moment. */
async function removeAgain(control: Control, name: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await control.disks.remove(name);
    } catch (error) {
      if (errorCode(error) === 'ERR_NO_SUCH_DISK') return;
      if (errorCode(error) !== 'ERR_DISK_IN_USE' || attempt === removeAttempts) {
        printNote(`disk ${name} stays, filled only in part (${errorMessage(error)}): remove it by "copse disk rm ${name}"`);
        return;
      }
      await sleep(removePauseMs);
    }
  }
}
