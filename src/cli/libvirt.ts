/** Runs a command's part that talks to libvirt. Loaded only by commands that do. */
import { Hypervisor } from '../libvirt/hypervisor.js';
import { Virsh } from '../libvirt/virsh.js';
import type { ConnectOptions } from './libvirt-option.js';

/** Errors of libvirt, of the binding and of virsh pass. */
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
