/** `copse libvirt ls` */
import type { Command } from 'commander';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { addConnectOption, type ConnectOptions } from '../libvirt-option.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions, ConnectOptions {
  all?: boolean;
}

export function addLibvirtLsCommand(parent: Command): void {
  const command = parent
    .command('ls')
    .alias('list')
    .description('list the domains that have disks of this daemon, with the sources of their bytes')
    .option('--all', 'list domains without such disks, too');
  addDaemonOptions(addConnectOption(command)).action(async (options: Options) => {
    const [{ takeInventory }, { withLibvirt }, { describeInventory }] = await Promise.all([
      import('../../libvirt/inventory.js'),
      import('../libvirt.js'),
      import('../describe-libvirt.js'),
    ]);
    const all = await withLibvirt(options, async (hypervisor) => {
      const domains = await hypervisor.domains();
      return withDaemon(options, (control) => takeInventory(domains, control));
    });
    const domains = options.all ? all : all.filter(({ disks }) => disks.length > 0);
    if (options.json) printJson(domains);
    else printText(describeInventory(domains));
  });
}
