/** A disk as a kernel block device without nbd.ko: nbdfuse gives a file over the export, a loop device a block device over the file. Takes root, FUSE and loop devices. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Test } from 'tap';
import { until } from '../support/wait.js';

/** Why there is none here, or `false`. */
export async function mountSkip(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'mounting takes root';
  if (!existsSync('/dev/fuse') || !existsSync('/dev/loop-control')) return 'there is no FUSE or no loop device here';
  const { code } = await execa('nbdfuse', ['--version'], { reject: false });
  return code === 'ENOENT' ? 'nbdfuse is not installed' : false;
}

export class AttachedDisk {
  /** The whole disk as a file. */
  readonly filePath: string;
  readonly mountPath: string;
  #device: string | undefined;
  #isMounted = false;
  readonly #nbdfuse: ChildProcess;
  readonly #exit: Promise<unknown>;

  private constructor(folder: string, nbdfuse: ChildProcess) {
    this.filePath = join(folder, 'disk');
    this.mountPath = join(folder, 'mount');
    this.#nbdfuse = nbdfuse;
    this.#exit = once(nbdfuse, 'exit');
  }

  /** Detached with the test at the latest. @param folder for places of its own */
  static async attach(t: Test, folder: string, uri: string): Promise<AttachedDisk> {
    const own = await mkdtemp(join(folder, 'attached-'));
    const pidPath = join(own, 'pid');
    writeFileSync(join(own, 'disk'), '');
    const disk = new AttachedDisk(own, spawn('nbdfuse', ['-P', pidPath, join(own, 'disk'), uri], { stdio: 'ignore' }));
    t.teardown(() => disk.detach());
    await until('nbdfuse', () => existsSync(pidPath));
    return disk;
  }

  /** The block device; made at the first call. */
  async device(): Promise<string> {
    this.#device ??= (await execa('losetup', ['--find', '--show', this.filePath])).stdout.trim();
    return this.#device;
  }

  async mount(): Promise<void> {
    mkdirSync(this.mountPath, { recursive: true });
    await execa('mount', [await this.device(), this.mountPath]);
    this.#isMounted = true;
  }

  /** Also when the export has gone: what could not be written is lost then, as in a crash. */
  async detach(): Promise<void> {
    if (this.#isMounted) await execa('umount', [this.mountPath], { reject: false, timeout: 20_000 });
    if (this.#isMounted) await execa('umount', ['--lazy', this.mountPath], { reject: false });
    this.#isMounted = false;
    if (this.#device !== undefined) await execa('losetup', ['--detach', this.#device], { reject: false });
    this.#device = undefined;
    await execa('umount', [this.filePath], { reject: false, timeout: 20_000 });
    this.#nbdfuse.kill('SIGTERM');
    const late = setTimeout(() => this.#nbdfuse.kill('SIGKILL'), 10_000);
    await this.#exit;
    clearTimeout(late);
    await execa('umount', ['--lazy', this.filePath], { reject: false });
  }
}
