/** `copse disk promote` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { checkExportName } from '../../base/export-name.js';
import { formatSize } from '../../base/size.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { runJob } from '../job.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions {
  file?: string;
}

const notes = `
The daemon writes the whole disk, with the bytes of its image, to a raw file with a manifest, and adds that as an image.
The disk stays. Shut its guest down first. On other hosts: "copse image add IMAGE URL --manifest … --digest …", as printed.`;

export function addDiskPromoteCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('promote')
      .description('make an image of a disk: a raw file, its manifest, and a name in the catalog')
      .argument('<name>', 'name of the disk')
      .argument('<image>', 'name of the new image')
      .option('--file <path>', "path of the file on the daemon's host (default: in its state directory)")
      .addHelpText('after', notes),
  ).action(async (name: string, image: string, options: Options) => {
    checkExportName(image);
    const path = options.file === undefined ? undefined : resolve(options.file);
    const outcome = await withDaemon(options, (control) =>
      runJob(`promote ${name}`, { quiet: options.json === true }, (job) => control.disks.promote(name, image, { ...job, path })),
    );
    if ('exitCode' in outcome) {
      process.exitCode = outcome.exitCode;
      return;
    }
    const { result } = outcome;
    if (options.json) printJson({ name, ...result });
    else
      printText(
        `image ${result.image}: ${formatSize(result.totalBytes)}, ${result.path}\nmanifest ${result.manifestPath}\n${result.digest}`,
      );
  });
}
