/** The demo's Debian on a disk of Copse: QEMU with a shell on the guest's serial console. No KVM, which may be there and never boot anything. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, open, readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { Test } from 'tap';
import { Qmp } from '../../examples/demo/qmp.js';
import { until } from '../support/wait.js';
import type { DiskHost } from './disk-host.js';

const examples = fileURLToPath(new URL('../../../examples', import.meta.url));
const bootOffset = 1024 * 1024;
const bootBytes = 47 * 1024 * 1024;
const blockBytes = 4096;
/** Many times what the slowest boot was seen to take. */
const bootMs = 600_000;

/** The demo's disk, built at the first call on a machine. */
export async function debianImage(): Promise<string> {
  return (await execa(join(examples, 'demo', 'cached-disk'), ['minimal'])).stdout.trim();
}

/** Has the guest of this disk begin with a shell: changes its boot loader's configuration, on the disk, by as many blocks as differ. */
export async function startWithShell(t: Test, host: DiskHost, disk: string): Promise<void> {
  const before = Buffer.alloc(bootBytes);
  const image = await open(host.imagePath, 'r');
  await image.read(before, 0, bootBytes, bootOffset);
  await image.close();
  const fat = join(host.daemon.folder, 'boot.fat');
  await writeFile(fat, before);
  const { stdout: config } = await execa('mtype', ['-i', fat, '::syslinux.cfg']);
  const changed = config.replace(/ init=\S+/, ' init=/bin/sh');
  t.not(changed, config, 'the configuration names an init');
  await writeFile(join(host.daemon.folder, 'syslinux.cfg'), changed);
  await execa('mcopy', ['-o', '-i', fat, join(host.daemon.folder, 'syslinux.cfg'), '::syslinux.cfg']);
  const after = await readFile(fat);
  const session = await host.daemon.attach(disk);
  for (let at = 0; at < bootBytes; at += blockBytes) {
    const block = after.subarray(at, at + blockBytes);
    if (!block.equals(before.subarray(at, at + blockBytes))) t.equal((await session.write(bootOffset + at, block)).error, 0);
  }
  t.equal((await session.do({ type: 3 })).error, 0, 'a flush');
  session.bytes.destroy();
}

export class Guest {
  readonly qmp: Qmp;
  /** All that came from its console. */
  console = '';
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  readonly #serial: Socket;
  #commandCount = 0;

  private constructor(child: ChildProcess, exit: Promise<unknown>, qmp: Qmp, serial: Socket) {
    this.#child = child;
    this.#exit = exit;
    this.qmp = qmp;
    this.#serial = serial;
    serial
      .on('error', () => undefined)
      .on('data', (bytes: Buffer) => {
        this.console += bytes.toString('latin1');
      });
  }

  /** QEMU runs when it resolves; the guest boots, or waits to be sent here. Killed with the test at the latest. */
  static async start(t: Test, host: DiskHost, disk: string, { incoming }: { incoming?: string } = {}): Promise<Guest> {
    const dir = await mkdtemp(join(host.daemon.folder, 'vm-'));
    const server = { type: 'unix', path: host.daemon.socketPath };
    const node = { driver: 'nbd', 'node-name': 'disk', server, export: disk, 'reconnect-delay': 120, discard: 'unmap' };
    const args = ['-accel', 'tcg', '-cpu', 'qemu64,-svm', '-machine', 'pc', '-m', '256', '-smp', '1'];
    args.push('-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot');
    args.push('-serial', `unix:${join(dir, 'tty')},server=on,wait=off`, '-qmp', `unix:${join(dir, 'qmp')},server=on,wait=off`);
    args.push('-blockdev', JSON.stringify(node), '-device', 'virtio-blk-pci,drive=disk,werror=stop,rerror=stop');
    if (incoming !== undefined) args.push('-incoming', `unix:${incoming}`);
    const log = openSync(join(dir, 'log'), 'a');
    const child = spawn('qemu-system-x86_64', args, { stdio: ['ignore', log, log] });
    closeSync(log);
    const exit = once(child, 'exit');
    t.teardown(async () => {
      child.kill('SIGKILL');
      await exit;
    });
    let qmp: Qmp | undefined;
    await until('the monitor of QEMU', async () => {
      if (child.exitCode !== null) throw new Error(`QEMU ended with ${child.exitCode}: ${await readFile(join(dir, 'log'), 'utf8')}`);
      qmp = await Qmp.connect(join(dir, 'qmp')).catch(() => undefined);
      return qmp !== undefined;
    });
    if (qmp === undefined) throw new Error('no monitor');
    const serial = connect(join(dir, 'tty'));
    await once(serial, 'connect');
    return new Guest(child, exit, qmp, serial);
  }

  /** Resolves when the shell answers. */
  async booted(): Promise<void> {
    await this.#prints(/^# |\n# $/, bootMs);
    await this.sh(
      'export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb PS2=; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp; stty -echo',
    );
  }

  /** Runs a command that must succeed; resolves to what it prints. */
  async sh(command: string): Promise<string> {
    return await this.run(command).done;
  }

  /** As `sh`, but goes on at once. One at a time. */
  run(command: string): { done: Promise<string> } {
    this.#commandCount += 1;
    const start = this.console.length;
    const mark = `ended-${this.#commandCount}`;
    // The mark in two parts: the console echoes what is typed.
    this.#serial.write(`{ ${command}\n}; echo "ended""-${this.#commandCount}" $?\n`);
    const done = async (): Promise<string> => {
      const [text = '', status] = await this.#prints(new RegExp(`${mark} (\\d+)\\r?\\n`), bootMs, start);
      const said = this.console.slice(start, this.console.indexOf(text, start)).replaceAll('\r', '');
      if (status !== '0') throw new Error(`the guest: ${command}: ended with ${status}: ${said}`);
      return said.replace(/^(> |# )+/gm, '').trim();
    };
    const promise = done();
    promise.catch(() => undefined);
    return { done: promise };
  }

  /** The state of the virtual machine, as QEMU calls it. */
  async state(): Promise<string> {
    return ((await this.qmp.execute('query-status')) as { status: string }).status;
  }

  /** Another QEMU answers for the guest from here on: its console goes on where this one's ends. */
  handTo(next: Guest): void {
    next.console = this.console + next.console;
    next.#commandCount = this.#commandCount;
  }

  /** kill -9: the power cut of a guest. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
    this.qmp.close();
    this.#serial.destroy();
  }

  async #prints(pattern: RegExp, patienceMs: number, start = 0): Promise<RegExpExecArray> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const found = pattern.exec(this.console.slice(start));
      if (found !== null) return found;
      if (performance.now() > deadline || this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`the guest does not print ${pattern}; the end of its console: ${this.console.slice(-500)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
