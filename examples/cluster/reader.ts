/** What a host does with the image: reads all of it and compares it, or boots a guest from it. */
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { chooseAccelerator } from '../demo/accelerator.js';
import { bootGuest } from '../demo/guest.js';
import type { Lifetime } from '../demo/lifetime.js';
import type { Host } from './host.js';

export interface Reading {
  readBytes: number;
  seconds: number;
}

export interface Reader {
  /** What the hosts read, for people. */
  readonly title: string;
  readonly rootDir: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  /** What comes to pass on a host, for people. */
  readonly what: string;
  read(host: Host, image: string): Promise<Reading>;
}

/** Many times what the slowest boot was seen to take. */
const bootTimeoutMs = 300_000;
const sizeMiB = 64;

/** An ext4 file system with real files in it. */
export async function comparingReader(workDir: string): Promise<Reader> {
  const path = join(workDir, 'origin', 'files.raw');
  const files = fileURLToPath(new URL('../../../node_modules/typescript', import.meta.url));
  await execa('mkdir', [dirname(path)]);
  // Not on the PATH of everybody.
  await execa('/usr/sbin/mke2fs', ['-q', '-t', 'ext4', '-d', files, path, `${sizeMiB}M`]);
  return {
    ...(await place(path)),
    title: `an ext4 file system of ${sizeMiB} MiB`,
    what: 'qemu-img reads all of it and compares it with the original',
    async read(host, image) {
      const startMs = performance.now();
      await execa('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', path, host.uri(image)]);
      return { readBytes: sizeMiB * 2 ** 20, seconds: (performance.now() - startMs) / 1000 };
    },
  };
}

export async function bootingReader(lifetime: Lifetime, workDir: string, diskPath: string): Promise<Reader> {
  const { sizeBytes, ...rest } = await place(diskPath);
  const accelerator = await chooseAccelerator(lifetime, { workDir, diskPath, diskSizeBytes: sizeBytes });
  return {
    ...rest,
    sizeBytes,
    title: `a Debian disk of ${sizeBytes / 2 ** 20} MiB`,
    what: `a guest boots from it (QEMU, ${accelerator})`,
    async read(host, image) {
      const blockdev = { driver: 'nbd', server: { type: 'unix', path: host.socketPath }, export: image, 'reconnect-delay': 60 };
      const options = {
        workDir,
        name: `guest-${host.id}`,
        accelerator,
        image: blockdev,
        imageSizeBytes: sizeBytes,
        timeoutMs: bootTimeoutMs,
      };
      const { readBytes, secondsToUserspace } = await bootGuest(lifetime, options);
      return { readBytes, seconds: secondsToUserspace };
    },
  };
}

async function place(path: string): Promise<Pick<Reader, 'rootDir' | 'fileName' | 'sizeBytes'>> {
  return { rootDir: dirname(path), fileName: basename(path), sizeBytes: (await stat(path)).size };
}
