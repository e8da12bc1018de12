/**
 * Contenders that offer a writable disk over an image file: what each of them needs to make a new one, and to be rid of it.
 *
 * All keep what was written on the same file system, in files below the directory that they are given.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Closeable } from '../../../src/base/lifecycle.js';
import { copseCommand } from '../harness/place.js';
import { Program } from '../harness/program.js';
import { type RunningCopse, startCopse } from './copse.js';
import type { RunningServer } from './server.js';

export interface DiskServer extends Closeable {
  readonly name: string;
  /** A disk in which nothing was written yet. Its `close` removes it. */
  fresh(): Promise<RunningServer>;
}

/** Runs `copse disk …` against a daemon. */
export async function copseDisk(server: Pick<RunningCopse, 'adminSocketPath'>, ...args: string[]): Promise<string> {
  const { stdout } = await execa(process.execPath, [copseCommand, 'disk', ...args, '--admin', `unix:${server.adminSocketPath}`]);
  return stdout;
}

/** One daemon for all its disks, as on a host. */
export async function startCopseDisks(
  dir: string,
  imagePath: string,
  flags: readonly string[] = [],
): Promise<DiskServer & { readonly server: RunningCopse }> {
  await mkdir(dir);
  const server = await startCopse(dir, { images: { image: imagePath }, flags });
  let count = 0;
  return {
    name: 'copse',
    server,
    async fresh() {
      count += 1;
      const exportName = `disk-${count}`;
      await copseDisk(server, 'create', exportName, '--image', 'image');
      return { ...server, exportName, close: async () => void (await copseDisk(server, 'rm', exportName)) };
    },
    close: () => server.close(),
  };
}

/** A process for each disk; the cow filter knows no other way. @param name tells two settings apart */
export function nbdkitDisks(dir: string, imagePath: string, name: string, settings: readonly string[] = []): DiskServer {
  return perDisk(dir, name, async (ownDir, socketPath) => {
    // Its overlay lies in TMPDIR, unlinked.
    const args = [`TMPDIR=${ownDir}`, 'nbdkit', '--foreground', '--unix', socketPath, '--filter=cow', 'file', imagePath, ...settings];
    return { command: 'env', args };
  });
}

/** A qcow2 overlay, as libvirt makes it. */
export function qemuDisks(dir: string, imagePath: string): DiskServer {
  return perDisk(dir, 'qemu', async (ownDir, socketPath) => {
    const overlay = join(ownDir, 'overlay.qcow2');
    await createQcow2(overlay, imagePath);
    const args = ['--persistent', '--shared=0', '--cache=writeback', `--socket=${socketPath}`, '--format=qcow2', overlay];
    return { command: 'qemu-nbd', args };
  });
}

export async function createQcow2(overlayPath: string, imagePath: string): Promise<void> {
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', imagePath, '-F', 'raw', overlayPath]);
}

function perDisk(
  dir: string,
  name: string,
  prepare: (ownDir: string, socketPath: string) => Promise<{ command: string; args: string[] }>,
): DiskServer {
  return {
    name,
    async fresh() {
      const ownDir = await mkdtemp(join(dir, 'p'));
      const socketPath = join(ownDir, 'nbd.sock');
      const program = await Program.start({
        ...(await prepare(ownDir, socketPath)),
        logPath: join(ownDir, 'log'),
        readySocket: socketPath,
      });
      const close = async (): Promise<void> => {
        await program.close();
        await rm(ownDir, { recursive: true, force: true });
      };
      return { program, socketPath, exportName: '', close };
    },
    async close() {},
  };
}
