/** `copse disk export`: this process runs qemu-img on the disk's own export. */

import { extname } from 'node:path';
import type { Command } from 'commander';
import type { Control, DiskStatus } from '../../admin/control.js';
import { CopseError } from '../../base/error.js';
import type { JobOptions, Progress } from '../../base/job.js';
import { formatSize } from '../../base/size.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { reachableUri } from '../disk-uri.js';
import { runJob } from '../job.js';
import { printJson, printText } from '../output.js';
import { type OutputFile, writeOutputFile } from '../output-file.js';
import { copyImage } from '../qemu-img.js';
import { formatCount } from '../text.js';

type Format = 'qcow2' | 'raw';

interface Options extends DaemonOptions {
  format?: string;
  force?: boolean;
  live?: boolean;
}

interface Exported extends Progress {
  file: OutputFile;
}

const notes = `
The command reads the whole disk, with its image. Zeros take no space. FILE appears when it is whole. Needs qemu-img (package qemu-utils).

Examples:
  copse disk export vm1 vm1.qcow2
  copse disk export vm1 /backup/vm1.img --format raw --force`;

export function addDiskExportCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('export')
      .description('write a disk without clients to a file')
      .argument('<name>', 'name of the disk')
      .argument('<file>', 'the file on this host')
      .option('--format <format>', "qcow2 or raw (default: by FILE's ending, .qcow2, .raw or .img)")
      .option('--force', 'replace FILE')
      .option('--live', 'even if clients are attached; the file may miss what they write meanwhile')
      .addHelpText('after', notes),
  ).action(async (name: string, file: string, options: Options) => {
    const format = formatOf(file, options.format);
    const outcome = await withDaemon(options, (control) =>
      runJob(`export ${name}`, { quiet: options.json === true }, (job) => exportDisk(control, name, { file, format, options }, job)),
    );
    if ('exitCode' in outcome) {
      process.exitCode = outcome.exitCode;
      return;
    }
    const { file: written, totalBytes } = outcome.result;
    if (options.json) printJson({ name, file: written.path, format, sizeBytes: totalBytes, allocatedBytes: written.allocatedBytes });
    else printText(`${written.path}: ${name}, ${formatSize(totalBytes)} as ${format}, ${formatSize(written.allocatedBytes)} on disk`);
  });
}

/** @throws CopseError `ERR_OPTION` */
function formatOf(file: string, format: string | undefined): Format {
  if (format === 'qcow2' || format === 'raw') return format;
  if (format !== undefined) throw new CopseError('ERR_OPTION', `"${format}" is not a format for exports: write qcow2 or raw`);
  switch (extname(file).toLowerCase()) {
    case '.qcow2':
      return 'qcow2';
    case '.raw':
    case '.img':
      return 'raw';
    default:
      throw new CopseError('ERR_OPTION', `"${file}" does not say in which format: add --format qcow2 or --format raw`);
  }
}

async function exportDisk(
  control: Control,
  name: string,
  { file, format, options }: { file: string; format: Format; options: Options },
  job: JobOptions,
): Promise<Exported> {
  const disk = await control.disks.status(name);
  refuseUnless(disk, options.live === true);
  const uri = await reachableUri((await control.node.status()).listeners, name);
  const { sizeBytes: totalBytes } = disk;
  const written = await writeOutputFile(file, { force: options.force === true }, (to) =>
    copyImage({ what: `export of ${name}`, from: uri, fromFormat: 'raw', to, toFormat: format, totalBytes, intoZeros: false }, job),
  );
  return { file: written, doneBytes: totalBytes, totalBytes };
}

/** @throws CopseError `ERR_DISK_IN_USE`, `ERR_OWNER_UNREACHABLE` */
function refuseUnless({ name, owner, place, connections, remoteConnections, message }: DiskStatus, live: boolean): void {
  if (place === 'unreachable') {
    throw new CopseError('ERR_OWNER_UNREACHABLE', message ?? `${name} is on ${owner}, which does not answer`);
  }
  if (live || (connections === 0 && remoteConnections.length === 0)) return;
  const clients = [formatCount(connections, 'client'), ...remoteConnections.map((node) => `clients on ${node}`)].join(', ');
  throw new CopseError(
    'ERR_DISK_IN_USE',
    `${name} is in use (${clients}), so a copy would mix several states of it: shut the guest down, or add --live`,
  );
}
