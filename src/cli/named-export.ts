/**
 * Asks the operator before a command takes an export, or its name, from domains that name it.
 *
 * Without a libvirt that answers, the command goes on without a question.
 */
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { Control } from '../admin/control.js';
import { CopseError, errorCode } from '../base/error.js';
import type { Naming } from '../libvirt/naming.js';
import { addConnectOption, type ConnectOptions } from './libvirt-option.js';

export interface NamedExportOptions extends ConnectOptions {
  yes?: boolean;
  json?: boolean;
}

export function addNamedExportOptions(command: Command): Command {
  return addConnectOption(command).option('-y, --yes', "don't ask if domains of libvirt name it");
}

/**
 * @param what the command's effect, as in `remove it`
 * @throws CopseError `ERR_EXPORT_NAMED` if there is no terminal to ask at, or the operator declines
 */
export async function confirmUnnamed(control: Control, name: string, what: string, options: NamedExportOptions): Promise<void> {
  if (options.yes) return;
  const naming = await domainsThatName(control, name, options);
  if (naming.length === 0) return;
  const text = naming.map(({ domain, target, active }) => `${domain} (${target}${active ? ', runs' : ''})`).join(', ');
  if (options.json !== true && (await isConfirmed(`${name} is a disk of ${text}: ${what} anyway? [y/N] `))) return;
  const [first] = naming;
  throw new CopseError(
    'ERR_EXPORT_NAMED',
    `${name} is a disk of ${text}: "copse libvirt detach ${first?.domain} ${name} --config" first, or add --yes to ${what} anyway`,
  );
}

async function domainsThatName(control: Control, name: string, options: NamedExportOptions): Promise<Naming[]> {
  // The question must not start a libvirtd for this user.
  if (options.connect === undefined) process.env['LIBVIRT_AUTOSTART'] ??= '0';
  const [{ Hypervisor }, { Listeners }, { domainsNaming }] = await Promise.all([
    import('../libvirt/hypervisor.js'),
    import('../libvirt/listener.js'),
    import('../libvirt/naming.js'),
  ]);
  const listeners = Listeners.fromUris((await control.node.status()).listeners);
  const hypervisor = await Hypervisor.open(options.connect).catch((error: unknown) => {
    // A libvirt that the operator named has to answer.
    if (options.connect === undefined && ['ERR_NO_LIBVIRT_BINDING', 'ERR_LIBVIRT'].includes(errorCode(error))) return undefined;
    throw error;
  });
  if (hypervisor === undefined) return [];
  try {
    return domainsNaming(await hypervisor.domains(), name, ({ address }) => listeners.has(address));
  } finally {
    await hypervisor.close();
  }
}

/** False without a terminal to ask at. */
async function isConfirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(?:es)?$/i.test((await terminal.question(question)).trim());
  } finally {
    terminal.close();
  }
}
