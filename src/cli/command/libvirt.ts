/** `copse libvirt …`: commands about libvirt's domains. */
import type { Command } from 'commander';
import { addLibvirtAttachCommand } from './libvirt-attach.js';
import { addLibvirtDetachCommand } from './libvirt-detach.js';
import { addLibvirtHookCommand } from './libvirt-hook.js';
import { addLibvirtLsCommand } from './libvirt-ls.js';
import { addLibvirtXmlCommand } from './libvirt-xml.js';

export function addLibvirtCommands(parent: Command): void {
  const libvirt = parent.command('libvirt').description("attach disks and images to libvirt's domains, and list them");
  addLibvirtXmlCommand(libvirt);
  addLibvirtAttachCommand(libvirt);
  addLibvirtDetachCommand(libvirt);
  addLibvirtLsCommand(libvirt);
  addLibvirtHookCommand(libvirt);
}
