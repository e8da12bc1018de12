/** A VM on a host of the lab: it boots there, or waits to be sent there. No KVM, which may exist and never boot. */
import { join } from 'node:path';
import { CopseError } from '../../src/base/error.js';
import { foreignErrorCode } from '../../src/base/error-code.js';
import type { Closeable } from '../../src/base/lifecycle.js';
import { GiB, MiB } from '../../src/base/size.js';
import { Program } from '../bench/harness/program.js';
import type { Guest } from '../bench/migration/lab/guest.js';
import { Monitor } from '../bench/migration/lab/monitor.js';
import { until } from '../support/wait.js';
import { GuestConsole } from './guest-console.js';
import type { Host } from './host.js';

export interface VmOptions {
  host: Host;
  guest: Guest;
  diskName: string;
  /** Names its sockets and its log. */
  name: string;
  /** Where the memory of the VM that is sent here comes in, as QEMU writes it; absent: it boots. */
  incoming?: string | undefined;
}

/** Of memory in a second: a guest that runs meanwhile has time for something; and as fast as it goes. */
const slowBytes = 4 * MiB;
const fastBytes = 10 * GiB;

const kernelArguments = 'console=ttyS0 quiet mitigations=off cryptomgr.notests audit=0 8250.nr_uarts=1 no_timer_check nokaslr';

export class Vm implements Closeable {
  readonly host: Host;
  readonly monitor: Monitor;
  readonly console: GuestConsole;
  readonly #program: Program;

  private constructor(host: Host, program: Program, monitor: Monitor, console: GuestConsole) {
    this.host = host;
    this.#program = program;
    this.monitor = monitor;
    this.console = console;
  }

  static async start({ host, guest, diskName, name, incoming }: VmOptions): Promise<Vm> {
    const monitorPath = join(host.dir, `${name}.qmp`);
    const serialPath = join(host.dir, `${name}.tty`);
    const args = ['-accel', 'tcg', '-cpu', 'qemu64,-svm', '-machine', 'q35', '-m', '128', '-smp', '1'];
    args.push('-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot');
    args.push('-kernel', guest.kernelPath, '-initrd', guest.initrdPath, '-append', kernelArguments);
    args.push('-serial', `unix:${serialPath},server=on,wait=off`, '-qmp', `unix:${monitorPath},server=on,wait=off`);
    const node = {
      driver: 'nbd',
      'node-name': 'disk',
      server: { type: 'unix', path: host.socketPath },
      export: diskName,
      'reconnect-delay': 60,
      cache: { direct: true, 'no-flush': false },
    };
    args.push('-blockdev', JSON.stringify(node), '-device', 'virtio-blk-pci,drive=disk,werror=stop,rerror=stop');
    if (incoming !== undefined) args.push('-incoming', incoming);
    const program = await Program.start({
      ...host.place.command('qemu-system-x86_64', args),
      logPath: join(host.dir, `${name}.log`),
      readySocket: monitorPath,
      timeoutMs: 120_000,
    });
    try {
      return new Vm(host, program, await Monitor.connect(monitorPath), await GuestConsole.connect(serialPath));
    } catch (cause) {
      await program.kill();
      throw cause;
    }
  }

  /** `running`, `postmigrate` once it was sent away, `io-error` when a failed request paused it … */
  async status(): Promise<string> {
    return (await this.monitor.execute<{ status: string }>('query-status')).status;
  }

  async becomes(status: string): Promise<void> {
    await until(
      `a VM that is ${status}`,
      async () => (await this.status()) === status,
      () => this.status(),
    );
  }

  async pause(): Promise<void> {
    await this.monitor.execute('stop');
  }

  async resume(): Promise<void> {
    await this.monitor.execute('cont');
  }

  /**
   * Resolves once the VM has been sent, and stands still at its destination.
   *
   * It runs while its memory goes, but stands still when QEMU begins and ends to note which pages are written to. QEMU 7.2, under TCG, can lose a page that its guest begins to write in such a moment: of some 140
   * migrations of guests that ran all the time, their disks on nbdkit's memory, 4 ended in a panic or in silence; of 400 that went like this none.
   *
   * @param meanwhile what the guest does while its memory goes; absent: nothing, it stands still all the time
   * @throws CopseError `ERR_QEMU` when it was not sent
   */
  async sendTo(destination: Vm, uri: string, { meanwhile }: { meanwhile?: (() => Promise<void>) | undefined } = {}): Promise<void> {
    await this.pause();
    if (meanwhile !== undefined) await this.#setBandwidth(slowBytes);
    await this.monitor.execute('migrate', { uri });
    if (meanwhile !== undefined) {
      await this.#migration('memory that is watched', ({ ram }) => (ram?.['dirty-sync-count'] ?? 0) > 0);
      await this.resume();
      await meanwhile();
      await this.pause();
      await this.#setBandwidth(fastBytes);
    }
    await this.#migration('the migration', ({ status }) => status === 'completed');
    await destination.becomes('paused');
  }

  async #migration(what: string, isSo: (status: MigrationStatus) => boolean): Promise<void> {
    await until(what, async () => {
      const status = await this.monitor.execute<MigrationStatus>('query-migrate');
      if (status.status === 'failed') throw new CopseError(foreignErrorCode('ERR_QEMU'), `the VM was not moved: ${JSON.stringify(status)}`);
      return isSo(status);
    });
  }

  async #setBandwidth(bytes: number): Promise<void> {
    await this.monitor.execute('migrate-set-parameters', { 'max-bandwidth': bytes });
  }

  /** As the power switch. */
  async close(): Promise<void> {
    await this.monitor.quit();
    await this.#program.close();
  }
}

interface MigrationStatus {
  status: string;
  ram?: { 'dirty-sync-count': number };
}
