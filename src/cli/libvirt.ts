/** The connection of a command to libvirt. Only commands that connect load this file. */
import { Hypervisor } from '../libvirt/hypervisor.js';
import { Virsh } from '../libvirt/virsh.js';
import type { ConnectOptions } from './libvirt-option.js';

/** Runs `action` with libvirt. Errors of libvirt, the binding and virsh pass. */
export async function withLibvirt<T>(
  { connect }: ConnectOptions,
  action: (hypervisor: Hypervisor, virsh: Virsh) => Promise<T>,
): Promise<T> {
  const hypervisor = await Hypervisor.open(connect);
  try {
    return await action(hypervisor, new Virsh(connect));
  } finally {
    await hypervisor.close();
  }
}
