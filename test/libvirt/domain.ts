/** Domains for tests: small, under TCG, on a q35 machine with room for disks that are attached later. */

export interface DomainOptions {
  name: string;
  /** `<disk>` elements. */
  disks: string;
  /** File for what it prints on its serial port. Appended to, so that a guest that moves goes on writing there. */
  consolePath: string;
  emulator?: string;
}

/** A reboot or crash ends the domain. */
export function domainXml({ name, disks, consolePath, emulator = '/usr/bin/qemu-system-x86_64' }: DomainOptions): string {
  return `<domain type='qemu'>
  <name>${name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='allow'>qemu64</model><feature policy='disable' name='svm'/></cpu>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>${emulator}</emulator>
    ${disks}
    <controller type='pci' index='0' model='pcie-root'/>
    ${[1, 2, 3, 4, 5].map((index) => `<controller type='pci' index='${index}' model='pcie-root-port'/>`).join('')}
    <controller type='scsi' index='0' model='virtio-scsi'/>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='file'><source path='${consolePath}' append='on'/></serial>
  </devices>
</domain>
`;
}
