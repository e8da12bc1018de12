/** A host for libvirt's guests: a daemon and a session-mode libvirtd in a network namespace of the lab, with mounts that give the daemon's socket the same path on all hosts. */
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { Lifetime, type Program, startProgram } from '../../examples/demo/lifetime.js';
import { AdminClient } from '../../src/admin/client.js';
import { copseCommand } from '../bench/harness/place.js';
import { type Libvirt, startLibvirt } from '../example/libvirt.js';
import type { Lab } from '../lab/lab.js';
import type { LabPlace } from '../lab/place.js';
import { until } from '../support/wait.js';

const peerPort = 10_809;

export interface LibvirtHostOptions {
  lab: Lab;
  /** Of its place in the lab. */
  index: number;
  /** For everything of this host; must not exist. */
  dir: string;
  /** An empty directory: where each host sees its own `dir`'s `here`. */
  shared: string;
}

export class LibvirtHost {
  readonly admin: AdminClient;
  readonly #options: LibvirtHostOptions;
  readonly #lifetime = new Lifetime();
  #daemon: Program | undefined;
  #libvirt: Libvirt | undefined;

  private constructor(options: LibvirtHostOptions) {
    this.#options = options;
    this.admin = new AdminClient({ kind: 'unix', path: join(options.dir, 'admin.sock') });
  }

  static async start(options: LibvirtHostOptions): Promise<LibvirtHost> {
    const { dir, index } = options;
    const host = new LibvirtHost(options);
    try {
      await mkdir(host.guestDir, { recursive: true });
      await chmod(host.guestDir, 0o777);
      await host.startDaemon();
      host.#libvirt = await startLibvirt({
        dir,
        lifetime: host.#lifetime,
        hostUuid: `b5b5b5b5-0000-4000-8000-00000000000${index + 1}`,
        wrap: (command) => host.#inside(command),
      });
    } catch (cause) {
      await host.close();
      throw cause;
    }
    return host;
  }

  get uri(): string {
    return this.#running.uri;
  }

  /** Where guests of this host have their files; they see it below `shared`. */
  get guestDir(): string {
    return join(this.#options.dir, 'here', 'guest');
  }

  virsh(...args: string[]): Promise<string> {
    return this.#running.virsh(...args);
  }

  /** Runs a command of Copse that succeeds. */
  async copse(...args: string[]): Promise<string> {
    const { stdout } = await execa(process.execPath, [copseCommand, ...args], {
      env: { COPSE_ADMIN: `unix:${join(this.#options.dir, 'admin.sock')}` },
    });
    return stdout;
  }

  async startDaemon(): Promise<void> {
    const { lab, index, dir, shared } = this.#options;
    const address = ({ address: host }: LabPlace): string => `${host}:${peerPort}`;
    const configPath = join(dir, 'copse.toml');
    await writeFile(configPath, 'socket_mode = "0666"\n[cache]\nmin_free = "0"\n');
    const args = ['serve', '--config', configPath, '--state', join(dir, 'state'), '--listen', `unix:${shared}/nbd.sock`];
    args.push('--admin', `unix:${join(dir, 'admin.sock')}`, '--node', `host-${index}`, '--address', address(this.#place));
    for (const peer of lab.hosts) args.push('--peer', address(peer));
    const [file = '', ...rest] = this.#inside([process.execPath, copseCommand, ...args]);
    this.#daemon = startProgram(this.#lifetime, file, rest, join(dir, 'copse.log'));
    if (!(await this.#daemon.waitForLine(/^copse: ready/))) throw new Error(`the daemon ended before it was ready: ${dir}/copse.log`);
  }

  /** The daemon: `kill -9`. */
  async stop(): Promise<void> {
    await this.#daemon?.stop('SIGKILL');
  }

  async sees(nodeCount: number): Promise<void> {
    await until(`${nodeCount} nodes`, async () => {
      const { members } = await this.admin.cluster.status();
      return members.filter(({ state }) => state === 'up' || state === 'self').length === nodeCount;
    });
  }

  folders(): Promise<string[]> {
    return readdir(join(this.#options.dir, 'state', 'disk'));
  }

  /** Guests first, which outlive their libvirtd. */
  async close(): Promise<void> {
    for (const name of (await this.#libvirt?.virsh('list', '--name'))?.split('\n').filter(Boolean) ?? []) await this.virsh('destroy', name);
    await this.admin.close();
    await this.#lifetime.end();
  }

  get #running(): Libvirt {
    if (this.#libvirt === undefined) throw new Error('libvirtd does not run');
    return this.#libvirt;
  }

  get #place(): LabPlace {
    const place = this.#options.lab.hosts[this.#options.index];
    if (place === undefined) throw new Error('the lab has no such host');
    return place;
  }

  /** The command that runs the given one on this host. What becomes its process is that program. */
  #inside(command: readonly string[]): string[] {
    const { dir, shared } = this.#options;
    const mount = `mount --bind "${join(dir, 'here')}" "${shared}"; exec "$@"`;
    const { command: file, args } = this.#place.command('unshare', [
      '-m',
      '--propagation',
      'private',
      'sh',
      '-ec',
      mount,
      'sh',
      ...command,
    ]);
    return [file, ...args];
  }
}

interface DomainOptions {
  name: string;
  /** Its `<disk>` element. */
  disk: string;
}

/** The guest that writes; its serial port is a socket in its directory. */
export function guestDomain(options: DomainOptions & { kernel: string; initrd: string; guestDir: string }): string {
  const { kernel, initrd, guestDir } = options;
  const boot = `<kernel>${kernel}</kernel><initrd>${initrd}</initrd><cmdline>console=ttyS0 quiet mitigations=off cryptomgr.notests 8250.nr_uarts=1 no_timer_check nokaslr</cmdline>`;
  return domain(options, 128, boot, `<serial type='unix'><source mode='bind' path='${guestDir}/serial.sock'/></serial>`);
}

/** It finds nothing to boot, and is there. */
export function bareDomain(options: DomainOptions): string {
  return domain(options, 32, '', '');
}

function domain({ name, disk }: DomainOptions, memoryMiB: number, boot: string, devices: string): string {
  return `<domain type='qemu'>
  <name>${name}</name>
  <memory unit='MiB'>${memoryMiB}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>${boot}</os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='allow'>qemu64</model><feature policy='disable' name='svm'/></cpu>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    ${disk}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    ${devices}
  </devices>
</domain>
`;
}
