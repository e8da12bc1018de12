/** What tests of `copse disk export` and `import` have in common. */
import { execa } from 'execa';
import type { Test } from 'tap';
import { FileDisks } from './file-disks.js';
import { fakeDaemon } from './run.js';

export const MiB = 1024 * 1024;
export const diskBytes = 24 * MiB;

/** Data at the beginning, in the middle and at the end, and holes between. */
export function content(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (const offset of [0, 8 * MiB, sizeBytes - 300_000]) {
    for (let index = offset; index < offset + 300_000; index += 1) bytes[index] = (index * 31 + (index >> 9)) & 0xff;
  }
  return bytes;
}

/** A daemon whose disks are files, and an empty folder. Ends with the test. */
export async function copying(test: Test) {
  const control = await FileDisks.start(test);
  const daemon = await fakeDaemon(test, control);
  const folder = test.testdir();
  const disk = (...args: string[]) => daemon.cli('disk', ...args);
  /** A disk that is filled by the back door. */
  const filled = async (name: string): Promise<Buffer> => {
    await control.disks.create({ name, sizeBytes: diskBytes });
    const bytes = content(diskBytes);
    await control.fileOf(name).file.write(bytes, 0);
    control.disks.calls.length = 0;
    return bytes;
  };
  return { ...daemon, control, folder, disk, filled };
}

export const qemuImg = (...args: string[]) => execa('qemu-img', args, { env: { LC_ALL: 'C' } });
