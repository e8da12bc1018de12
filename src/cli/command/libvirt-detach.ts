/** `copse libvirt detach` */
import type { Command } from 'commander';
import { errorCode } from '../../base/error.js';
import type { IsCopse } from '../../libvirt/attachment.js';
import { withDaemon } from '../daemon.js';
import { addChangeOptions, type ChangeOptions, daemonOptionsOf, describeAffected } from '../libvirt-option.js';
import { printJson, printNote, printText } from '../output.js';

interface Options extends ChangeOptions {
  target?: string;
}

export function addLibvirtDetachCommand(parent: Command): void {
  const command = parent
    .command('detach')
    .description('detach a disk or an image from a domain; a running guest has to release it')
    .argument('<domain>', 'name or UUID of the domain')
    .argument('<disk>', 'name of the disk or image')
    .option('--target <name>', 'name of the disk in the domain, if it is attached more than once');
  addChangeOptions(command).action(detach);
}

async function detach(domain: string, exportName: string, options: Options): Promise<void> {
  const [{ detachDisk }, { withLibvirt }] = await Promise.all([import('../../libvirt/attachment.js'), import('../libvirt.js')]);
  const isCopse = await askWhatIsCopse(options);
  await withLibvirt(options, async (hypervisor, virsh) => {
    const { target, live, config } = options;
    const request = { domain, exportName, target, live, config };
    const detached = await detachDisk(await hypervisor.domains(), isCopse, virsh, request, () => hypervisor.domains());
    if (options.json) printJson(detached);
    else printText(`${exportName}, which was ${detached.target}, is detached from ${describeAffected(detached.affected, detached.domain)}`);
  });
}

/**
 * An operator may detach a disk because its daemon is gone. Then each NBD export of that name
 * counts.
 */
async function askWhatIsCopse(options: Options): Promise<IsCopse> {
  const { Listeners } = await import('../../libvirt/listener.js');
  try {
    const known = Listeners.fromUris((await withDaemon(daemonOptionsOf(options), (control) => control.node.status())).listeners);
    return ({ address }) => known.has(address);
  } catch (error) {
    if (errorCode(error) !== 'ERR_NO_DAEMON') throw error;
    printNote('no daemon answers: the disk is looked for by its name alone');
    return () => true;
  }
}
