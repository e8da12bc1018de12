/** A host with disks: the real daemon with one image in a file, and disks over it made by the real command line. */
import { createHash } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { DiskStatus } from '../../src/admin/schema-disk.js';
import { shortDir } from '../support/short-dir.js';
import { until } from '../support/wait.js';
import { Daemon } from './daemon.js';

export const imageName = 'base';

export interface DiskHostOptions {
  /** The image's bytes, or a file that has them. */
  image: Buffer | string;
  /** The state directory; one of the test's own when absent. */
  state?: string;
  /** Of the cache, as in the configuration file. */
  cacheSize?: string;
  minFree?: string;
  /** As the daemon's. */
  tcp?: boolean;
  fastPath?: boolean;
}

export class DiskHost {
  readonly daemon: Daemon;
  readonly imagePath: string;

  private constructor(daemon: Daemon, imagePath: string) {
    this.daemon = daemon;
    this.imagePath = imagePath;
  }

  /** Serving; the daemon is killed with the test at the latest. */
  static async start(t: Test, { image, ...options }: DiskHostOptions): Promise<DiskHost> {
    const imagePath = typeof image === 'string' ? image : join(shortDir(t), 'image.raw');
    if (typeof image !== 'string') writeFileSync(imagePath, image);
    const daemon = await Daemon.start(t, { ...options, images: { [imageName]: imagePath } });
    return new DiskHost(daemon, imagePath);
  }

  /** A daemon that the test started by itself, without an image. */
  static of(daemon: Daemon): DiskHost {
    return new DiskHost(daemon, '');
  }

  /** As libnbd and QEMU read it. */
  uri(disk: string): string {
    return `nbd+unix:///${disk}?socket=${this.daemon.socketPath}`;
  }

  /** Runs `copse disk ARGS`, which must succeed. Resolves to what it prints. */
  async disk(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.daemon.copse('disk', ...args);
    if (exitCode !== 0) throw new Error(`copse disk ${args.join(' ')} ended with ${exitCode}: ${stderr}${stdout}`);
    return stdout;
  }

  async status(disk: string): Promise<DiskStatus> {
    return JSON.parse((await this.daemon.api('GET', `/v1/disks/${disk}`)).body);
  }

  /** Resolves when the daemon knows that no client is attached any more. */
  async detached(disk: string): Promise<void> {
    await until(`${disk} without clients`, async () => (await this.status(disk)).connections === 0);
  }

  /** Where the disk's overlay and map are. */
  async folder(disk: string): Promise<string> {
    return join(this.daemon.state, 'disk', (await this.status(disk)).uuid);
  }

  /** What the overlay takes on this host's disk, in bytes. */
  async allocatedBytes(disk: string): Promise<number> {
    return (await stat(join(await this.folder(disk), 'overlay.data'))).blocks * 512;
  }

  /** kill -9, and a start on the same state. */
  async crash(): Promise<void> {
    await this.daemon.kill();
    await this.daemon.start();
  }

  /** SIGTERM, and a start on the same state. */
  async restart(): Promise<void> {
    await this.daemon.stop();
    await this.daemon.start();
  }

  /** Of the image's file: what disks over it must never change. */
  async imageDigest(): Promise<string> {
    const hash = createHash('sha256');
    for await (const bytes of createReadStream(this.imagePath)) hash.update(bytes as Buffer);
    return hash.digest('hex');
  }

  /** Everything that lies in the state directory for disks, relative to it. */
  async files(): Promise<string[]> {
    return (await readdir(join(this.daemon.state, 'disk'), { recursive: true })).sort();
  }
}
