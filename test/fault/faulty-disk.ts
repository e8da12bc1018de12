/**
 * A real file system whose device loses chosen writes: nbdkit answers a write with EIO while `fail` exists, if its bytes
 * contain the marker. So data can be lost while the file system's own blocks, its journal too, are written.
 *
 * Takes root, FUSE, nbdkit and loop devices.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Test } from 'tap';
import { shortDir } from '../support/short-dir.js';
import { until } from '../support/wait.js';
import { AttachedDisk, mountSkip } from './disk-mount.js';

/** Bytes of a block that is to be lost have this in them. */
export const lostMarker = 'copse-lose-this';

export async function faultyDiskSkip(): Promise<string | false> {
  const { code } = await execa('nbdkit', ['--version'], { reject: false });
  return (await mountSkip()) || (code === 'ENOENT' ? 'nbdkit is not installed' : false);
}

const pwrite = (path: string, fail: string): string => `
  if [ -e ${fail} ]; then
    cat > ${path}.part
    if grep -q ${lostMarker} ${path}.part; then echo EIO lost on purpose >&2; exit 1; fi
    exec dd if=${path}.part of=${path} bs=1M oflag=seek_bytes seek=$4 conv=notrunc status=none
  fi
  exec dd of=${path} bs=1M oflag=seek_bytes seek=$4 conv=notrunc status=none`;

export class FaultyDisk {
  readonly #failPath: string;
  readonly #attached: AttachedDisk;

  private constructor(failPath: string, attached: AttachedDisk) {
    this.#failPath = failPath;
    this.#attached = attached;
  }

  /** Mounted, and gone with the test. @param make makes the file system on a device or file: `['mkfs.ext4', '-q']` */
  static async mount(t: Test, sizeBytes: number, make: [string, ...string[]]): Promise<FaultyDisk> {
    const folder = shortDir(t);
    const path = join(folder, 'device');
    const failPath = join(folder, 'fail');
    const socket = join(folder, 'socket');
    writeFileSync(path, '');
    truncateSync(path, sizeBytes);
    const [program, ...args] = make;
    await execa(program, [...args, path]);
    const nbdkit = spawn(
      'nbdkit',
      [
        ...['-f', '-U', socket, 'eval', `get_size=echo ${sizeBytes}`, 'can_write=exit 0', 'can_flush=exit 0', 'flush=exit 0'],
        `pread=exec dd if=${path} bs=1M iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none`,
        `pwrite=${pwrite(path, failPath)}`,
      ],
      { stdio: 'ignore' },
    );
    const exit = once(nbdkit, 'exit');
    t.teardown(async () => {
      nbdkit.kill('SIGTERM');
      await exit;
    });
    await until('nbdkit', () => existsSync(socket));
    const attached = await AttachedDisk.attach(t, folder, `nbd+unix:///?socket=${socket}`);
    await attached.mount();
    const disk = new FaultyDisk(failPath, attached);
    mkdirSync(disk.state);
    return disk;
  }

  /** A directory on the file system. */
  get state(): string {
    return join(this.#attached.mountPath, 'state');
  }

  /** While `work` runs, marked blocks are lost. */
  async losing<T>(work: () => Promise<T>): Promise<T> {
    writeFileSync(this.#failPath, '');
    try {
      return await work();
    } finally {
      rmSync(this.#failPath);
    }
  }

  /** Nothing may be open on it. What the kernel had in memory of it is gone afterwards. */
  async remount(): Promise<void> {
    await execa('umount', [this.#attached.mountPath]);
    await this.#attached.mount();
  }

  get device(): Promise<string> {
    return this.#attached.device();
  }
}
