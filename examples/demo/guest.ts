/** One boot of the guest in QEMU: how long until userspace spoke, and what it read meanwhile. */
import { join } from 'node:path';
import { execa } from 'execa';
import { type Lifetime, startProgram, waitForListener } from './lifetime.js';
import { Qmp } from './qmp.js';

export type Accelerator = 'kvm' | 'tcg';

export interface Boot {
  secondsToUserspace: number;
  /** Read by the guest from its disk, from the BIOS on until it powered off. */
  readBytes: number;
  /** What the guest said of itself. */
  message: string;
}

export interface GuestOptions {
  workDir: string;
  /** Names the logs. */
  name: string;
  accelerator: Accelerator;
  /** The image, read-only, as properties of a `-blockdev`. */
  image: Record<string, unknown>;
  imageSizeBytes: number;
  timeoutMs: number;
}

/** qemu64 without SVM is the fastest model under TCG. */
const cpus: Record<Accelerator, string> = { kvm: 'host', tcg: 'qemu64,-svm' };

export async function bootGuest(lifetime: Lifetime, options: GuestOptions): Promise<Boot> {
  const { workDir, name, accelerator, image, imageSizeBytes, timeoutMs } = options;
  const overlay = join(workDir, `${name}.qcow2`);
  const monitor = join(workDir, `${name}.qmp`);
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', overlay, String(imageSizeBytes)]);

  const args = ['-accel', accelerator, '-cpu', cpus[accelerator], '-m', '512', '-smp', '1'];
  // A guest that powers off is paused instead, so that its counters can still be read.
  args.push('-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-no-shutdown', '-serial', 'stdio');
  args.push('-qmp', `unix:${monitor},server=on,wait=off`);
  args.push('-blockdev', JSON.stringify({ ...image, 'node-name': 'image', 'read-only': true }));
  args.push(
    '-blockdev',
    JSON.stringify({ driver: 'qcow2', 'node-name': 'disk', file: { driver: 'file', filename: overlay }, backing: 'image' }),
  );
  args.push('-device', 'virtio-blk-pci,drive=disk');

  const startMs = performance.now();
  const logPath = join(workDir, `${name}.log`);
  const qemu = startProgram(lifetime, 'qemu-system-x86_64', args, logPath);
  const giveUp = setTimeout(() => void qemu.stop('SIGKILL'), timeoutMs);
  try {
    const message = (await qemu.waitForLine(/COPSE-DEMO: (userspace up.*)/))?.[1]?.trim();
    const secondsToUserspace = (performance.now() - startMs) / 1000;
    if (message === undefined) throw new Error(`the guest did not come up within ${timeoutMs / 1000} s; what it said is in ${logPath}`);
    await waitForListener({ path: monitor }, qemu, 5000);
    return { secondsToUserspace, message, readBytes: await readBytesAtPowerOff(monitor) };
  } finally {
    clearTimeout(giveUp);
    await qemu.stop();
  }
}

async function readBytesAtPowerOff(monitor: string): Promise<number> {
  const qmp = await Qmp.connect(monitor);
  try {
    await qmp.event('SHUTDOWN');
    const devices = (await qmp.execute('query-blockstats')) as { stats: { rd_bytes: number } }[];
    return devices.reduce((sum, { stats }) => sum + stats.rd_bytes, 0);
  } finally {
    qmp.close();
  }
}
