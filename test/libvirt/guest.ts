/** A guest of one sector that writes to its disk for ever (guest.s): up in a second under TCG, and never done. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { until } from '../support/wait.js';

/** As it lies in the source tree; this file runs from dist/test/libvirt. */
const sourcePath = fileURLToPath(new URL('../../../test/libvirt/guest.s', import.meta.url));

/** What it needs of a disk: the sector that it boots from, and 4 MiB of places to write to, from 1 MiB on. */
export const guestDiskSizeBytes = 8 * 2 ** 20;

/** @returns a disk's bytes, with the guest in the first sector */
export async function buildGuest(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'copse-guest-'));
  try {
    const [object, binary] = [join(folder, 'guest.o'), join(folder, 'guest.bin')];
    await execa('as', ['--32', sourcePath, '-o', object]);
    await execa('ld', ['-m', 'elf_i386', '-Ttext=0x7c00', '--oformat=binary', object, '-o', binary]);
    return Buffer.concat([await readFile(binary)], guestDiskSizeBytes);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What a guest has printed on its serial port, which libvirt keeps in a file. */
export class GuestConsole {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Whole lines: counters as hexadecimal digits, failed turns with an `E` before them. */
  async lines(): Promise<string[]> {
    const text = await readFile(this.#path, 'latin1').catch(() => '');
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => line.replaceAll(/[^0-9a-fE]/g, ''));
  }

  async failedTurns(): Promise<string[]> {
    return (await this.lines()).filter((line) => line.startsWith('E'));
  }

  /** Resolves when it has made so many turns more than there are now; rejects after five minutes. */
  async turns(count: number): Promise<void> {
    const wanted = (await this.lines()).length + count;
    await until(
      `${wanted} turns of the guest`,
      async () => (await this.lines()).length >= wanted,
      async () => (await this.lines()).slice(-3),
    );
  }
}
