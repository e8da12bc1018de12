/** `copse libvirt xml` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { addDiskOptions, type DiskOptions, diskXmlOf } from '../libvirt-option.js';
import { printJson, printNote, printText } from '../output.js';

interface Options extends DaemonOptions, DiskOptions {}

const examples = `
Examples:
  copse libvirt xml web-1
  copse libvirt xml debian-12 --overlay /var/lib/libvirt/images/web-2.qcow2
  copse libvirt xml web-1 > disk.xml && virsh attach-device web disk.xml --config`;

export function addLibvirtXmlCommand(parent: Command): void {
  addDaemonOptions(
    addDiskOptions(
      parent
        .command('xml')
        .description('print the <disk> element of a disk or an image, for a domain')
        .argument('<disk>', 'name of the disk or image'),
    ),
  )
    .addHelpText('after', examples)
    .action(async (name: string, options: Options) => {
      const [{ findExport }, { formatDisk, overlayCommand }, { nextTarget }] = await Promise.all([
        import('../../libvirt/export-facts.js'),
        import('../../libvirt/disk-xml.js'),
        import('../../libvirt/target.js'),
      ]);
      const described = await withDaemon(options, async (control) => diskXmlOf(control, await findExport(control, name), options));
      const disk = { ...described, target: options.target ?? nextTarget(described.bus, []) };
      const xml = formatDisk(disk);
      if (options.json) printJson({ ...disk, xml });
      else printText(xml);
      if (disk.overlayPath !== undefined) printNote(`create the overlay by: ${overlayCommand(disk)}`);
    });
}
