/**
 * A host in miniature for the tests of the examples: a directory of its own, a small image, and the daemon that serves it.
 *
 * Invariant: what is started is ended by `t.teardown`, newest first.
 */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { Lifetime, type Program, startProgram } from '../../examples/demo/lifetime.js';

/** The examples as they lie in the source tree; this file runs from dist/test/example. */
export const examplesDir = fileURLToPath(new URL('../../../examples', import.meta.url));

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export const imageSizeBytes = 8 * 2 ** 20;

export interface Host {
  readonly dir: string;
  readonly imagePath: string;
  readonly socketPath: string;
  readonly exportName: string;
  readonly lifetime: Lifetime;
  /** What the shell examples take their settings from. */
  readonly env: Record<string, string>;
  /** Starts the daemon, and resolves when it serves. */
  serve(): Promise<Program>;
}

/** The byte that fills a 4 KiB block of the image: never zero, and not the neighbour's. */
export const blockByte = (blockIndex: number): number => 1 + (blockIndex % 255);

async function writeImage(path: string): Promise<void> {
  const content = Buffer.alloc(imageSizeBytes);
  for (let at = 0; at < imageSizeBytes; at += 4096) content.fill(blockByte(at / 4096), at, at + 4096);
  await writeFile(path, content);
}

export async function createHost(t: Test): Promise<Host> {
  // Not t.testdir: a unix socket's path may have 107 bytes only.
  const dir = await mkdtemp(join(tmpdir(), 'copse-example-'));
  // libvirt's guests run as another user.
  await chmod(dir, 0o755);
  const lifetime = new Lifetime();
  t.teardown(async () => {
    await lifetime.end();
    await rm(dir, { recursive: true, force: true });
  });
  const imagePath = join(dir, 'image.raw');
  await writeImage(imagePath);
  const socketPath = join(dir, 'nbd.sock');
  const exportName = 'debian-12';
  return {
    dir,
    imagePath,
    socketPath,
    exportName,
    lifetime,
    env: { SOCKET: socketPath, EXPORT: exportName, OVERLAY: join(dir, 'overlay.qcow2'), ACCEL: 'tcg' },
    async serve() {
      const args = ['serve', '--state', join(dir, 'state'), '--listen', `unix:${socketPath}`, '--image', `${exportName}=${imagePath}`];
      const daemon = startProgram(lifetime, process.execPath, [command, ...args, '--min-free', '0'], join(dir, 'copse.log'));
      if (!(await daemon.waitForLine(/^copse: ready/))) throw new Error('the daemon ended before it was ready');
      await chmod(socketPath, 0o666);
      return daemon;
    },
  };
}
