/** `copse libvirt attach` */
import type { Command } from 'commander';
import { withDaemon } from '../daemon.js';
import {
  addChangeOptions,
  addDiskOptions,
  type ChangeOptions,
  type DiskOptions,
  daemonOptionsOf,
  describeAffected,
  diskXmlOf,
} from '../libvirt-option.js';
import { printJson, printNote, printText } from '../output.js';

interface Options extends DiskOptions, ChangeOptions {}

export function addLibvirtAttachCommand(parent: Command): void {
  const command = parent
    .command('attach')
    .description('attach a disk or an image to a domain')
    .argument('<domain>', 'name or UUID of the domain')
    .argument('<disk>', 'name of the disk or image');
  addChangeOptions(addDiskOptions(command)).action(attach);
}

async function attach(domain: string, name: string, options: Options): Promise<void> {
  const [{ findExport }, { Listeners }, { attachDisk }, { withLibvirt }] = await Promise.all([
    import('../../libvirt/export-facts.js'),
    import('../../libvirt/listener.js'),
    import('../../libvirt/attachment.js'),
    import('../libvirt.js'),
  ]);
  const { facts, disk, listeners } = await withDaemon(daemonOptionsOf(options), async (control) => {
    const facts = await findExport(control, name);
    return { facts, disk: await diskXmlOf(control, facts, options), listeners: (await control.node.status()).listeners };
  });
  const known = Listeners.fromUris(listeners);
  const shared = facts.kind === 'image' || facts.disk.multiConn;
  await withLibvirt(options, async (hypervisor, virsh) => {
    const { target, live, config } = options;
    const request = { domain, disk, target, shared, live, config };
    const attachment = await attachDisk(await hypervisor.domains(), ({ address }) => known.has(address), virsh, request);
    if (options.json) printJson(attachment);
    else printText(`${name} is ${attachment.target} of ${describeAffected(attachment.affected, attachment.domain)} now`);
    if (disk.reconnectSeconds > 0 && attachment.affected.includes('live') && isBefore(await virsh.daemonVersion(), [9, 5])) {
      printNote(
        `this libvirt drops <reconnect>, which it knows from 9.5 on: a restart of copse pauses the guest, and "virsh resume ${attachment.domain}" lets it go on`,
      );
    }
  });
}

function isBefore(version: number[] | undefined, [major, minor]: [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version ?? [];
  return version !== undefined && (ownMajor < major || (ownMajor === major && ownMinor < minor));
}
