/** Options of commands that write a `<disk>`, and of commands that connect to libvirt. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Control } from '../admin/control.js';
import { CopseError } from '../base/error.js';
import type { DiskXml } from '../libvirt/disk-xml.js';
import type { ExportFacts } from '../libvirt/export-facts.js';
import { chooseListener } from '../libvirt/listener.js';
import { type CacheMode, cacheModes, chooseBus, diskBuses } from '../libvirt/target.js';
import type { Affected } from '../libvirt/virsh.js';
import type { DaemonOptions } from './daemon.js';

export interface DiskOptions {
  bus?: string;
  target?: string;
  tcp?: boolean;
  host?: string;
  overlay?: string;
  cache: string;
  reconnect: string;
  boot?: string;
}

export function addDiskOptions(command: Command): Command {
  return command
    .option('--bus <bus>', `${diskBuses.join(', ')} (default: virtio)`)
    .option('--target <name>', 'name of the disk in the domain, as in vda or sda (default: the first free one)')
    .option('--tcp', "use the daemon's TCP listener although it has a unix socket")
    .option('--host <host>', 'host to write for a TCP listener on every address')
    .option('--overlay <path>', 'qcow2 file above the export, which takes the writes')
    .option('--cache <mode>', `cache mode of QEMU: ${cacheModes.join(', ')}`, 'none')
    .option('--reconnect <seconds>', 'time that a guest waits for a restarted daemon, 0 to omit it (libvirt 9.5 and later)', '60')
    .option('--boot <order>', "position in the firmware's boot order, from 1");
}

export interface ConnectOptions {
  connect?: string;
}

export function addConnectOption(command: Command): Command {
  return command.option('-c, --connect <uri>', 'libvirt to connect to (default: as virsh)');
}

/**
 * Options of commands that change a domain. virsh uses `--config` for the domain's configuration,
 * so the daemon's is `--daemon-config` here.
 */
export interface ChangeOptions extends ConnectOptions {
  live?: boolean;
  config?: boolean;
  admin?: string;
  adminTokenFile?: string;
  state?: string;
  daemonConfig?: string;
  json?: boolean;
}

export function addChangeOptions(command: Command): Command {
  return addConnectOption(command)
    .option('--live', 'change the running guest')
    .option('--config', 'change the configuration for the next start (default: the running guest, else the configuration)')
    .option('--admin <address>', 'daemon to ask: unix:PATH or tcp:HOST:PORT (default: $COPSE_ADMIN, else STATE/admin.sock)')
    .option('--admin-token-file <file>', 'file with the token for an address on TCP (default: $COPSE_ADMIN_TOKEN_FILE)')
    .option('--state <dir>', 'state directory of the daemon to ask')
    .option('--daemon-config <file>', 'configuration of the daemon to ask')
    .option('--json', 'print JSON');
}

/** The same options as `withDaemon` takes them. */
export function daemonOptionsOf({ admin, adminTokenFile, state, daemonConfig }: ChangeOptions): DaemonOptions {
  return {
    ...(admin === undefined ? {} : { admin }),
    ...(adminTokenFile === undefined ? {} : { adminTokenFile }),
    ...(state === undefined ? {} : { state }),
    ...(daemonConfig === undefined ? {} : { config: daemonConfig }),
  };
}

/** @throws CopseError `ERR_OPTION`, `ERR_NO_LISTENER` */
export async function diskXmlOf(control: Control, facts: ExportFacts, options: DiskOptions): Promise<Omit<DiskXml, 'target'>> {
  const { listeners } = await control.node.status();
  const { tcp, host, overlay, boot } = options;
  return {
    exportName: facts.name,
    address: chooseListener(listeners, { tcp, host }),
    readOnly: facts.kind === 'image',
    bus: chooseBus(options.bus, options.target),
    serial: facts.serial,
    cache: cacheMode(options.cache),
    reconnectSeconds: count('--reconnect', options.reconnect, 0),
    bootOrder: boot === undefined ? undefined : count('--boot', boot, 1),
    overlayPath: overlay === undefined ? undefined : resolve(overlay),
  };
}

function cacheMode(text: string): CacheMode {
  const mode = cacheModes.find((known) => known === text);
  if (mode === undefined) throw new CopseError('ERR_OPTION', `--cache ${text}: write ${cacheModes.join(', ')}`);
  return mode;
}

function count(option: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least) return value;
  throw new CopseError('ERR_OPTION', `${option} ${text}: write a whole number from ${least} on`);
}

/** As in `the running guest and the configuration of web`. */
export function describeAffected(affected: readonly Affected[], domain: string): string {
  const parts = affected.map((where) => (where === 'live' ? 'the running guest' : 'the configuration'));
  return `${parts.join(' and ')} of ${domain}`;
}
