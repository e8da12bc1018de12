/** A VM on a host of the lab, which runs, or waits to be sent here. No KVM: it may exist and never boot, and the guest has little to do. */
import { join } from 'node:path';
import type { Closeable } from '../../../../src/base/lifecycle.js';
import type { LabPlace } from '../../../lab/place.js';
import { Program } from '../../harness/program.js';
import type { Guest } from './guest.js';
import { Monitor } from './monitor.js';
import { RecordLog } from './record-log.js';

export const ramPort = 4444;

/** Properties of one `-blockdev`. The one called `disk` is the guest's. */
export type BlockNode = Readonly<Record<string, unknown>>;

export interface VmOptions {
  place: LabPlace;
  guest: Guest;
  /** Exists, and is for sockets and logs. */
  dir: string;
  /** Names them. */
  name: string;
  disk: readonly BlockNode[];
  /** It waits for a VM to be sent to it. */
  isIncoming: boolean;
}

const kernelArguments = 'console=ttyS0 quiet mitigations=off cryptomgr.notests audit=0 8250.nr_uarts=1 no_timer_check nokaslr';

export class Vm implements Closeable {
  readonly monitor: Monitor;
  readonly records: RecordLog;
  readonly #program: Program;

  private constructor(program: Program, monitor: Monitor, records: RecordLog) {
    this.#program = program;
    this.monitor = monitor;
    this.records = records;
  }

  static async start({ place, guest, dir, name, disk, isIncoming }: VmOptions): Promise<Vm> {
    const monitorPath = join(dir, `${name}.qmp`);
    const serialPath = join(dir, `${name}.tty`);
    const args = ['-accel', 'tcg', '-cpu', 'qemu64,-svm', '-machine', 'q35', '-m', '256', '-smp', '1'];
    args.push('-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot');
    args.push('-kernel', guest.kernelPath, '-initrd', guest.initrdPath, '-append', kernelArguments);
    args.push('-serial', `unix:${serialPath},server=on,wait=off`, '-qmp', `unix:${monitorPath},server=on,wait=off`);
    for (const node of disk) args.push('-blockdev', JSON.stringify(node));
    args.push('-device', 'virtio-blk-pci,drive=disk');
    if (isIncoming) args.push('-incoming', `tcp:${place.address}:${ramPort}`);
    const program = await Program.start({
      ...place.command('qemu-system-x86_64', args),
      logPath: join(dir, `${name}.log`),
      readySocket: monitorPath,
    });
    try {
      return new Vm(program, await Monitor.connect(monitorPath), await RecordLog.connect(serialPath));
    } catch (cause) {
      await program.close();
      throw cause;
    }
  }

  /** Ends QEMU, as the power switch. */
  async close(): Promise<void> {
    await this.monitor.quit();
    await this.#program.close();
  }
}
