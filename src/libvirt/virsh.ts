/** Runs virsh for operations that the binding lacks. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { LibvirtError, NoVirshError } from './error.js';

export type Affected = 'live' | 'config';

export class Virsh {
  readonly #connect: string[];

  /** @param uri of libvirt; absent: virsh's own default */
  constructor(uri: string | undefined) {
    this.#connect = uri === undefined ? [] : ['--connect', uri];
  }

  /**
   * @returns standard output
   * @throws NoVirshError
   * @throws LibvirtError with the message of virsh
   */
  async run(...args: string[]): Promise<string> {
    const result = await execa('virsh', ['--quiet', ...this.#connect, ...args], { reject: false, stdin: 'ignore', env: { LC_ALL: 'C' } });
    if (result.code === 'ENOENT') throw new NoVirshError(result.cause);
    if (result.exitCode === 0) return result.stdout;
    const said = result.stderr
      .replaceAll(/^error: /gm, '')
      .trim()
      .replaceAll('\n', ': ');
    throw new LibvirtError(`virsh ${args[0]}: ${said || `it ended with ${result.exitCode ?? result.signal}`}`);
  }

  /** @param command `attach-device` or `detach-device` */
  async changeDevice(command: 'attach-device' | 'detach-device', uuid: string, xml: string, affected: readonly Affected[]): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'copse-libvirt-'));
    try {
      const path = join(folder, 'disk.xml');
      await writeFile(path, xml);
      await this.run(command, uuid, path, ...affected.map((where) => `--${where}`));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Version of libvirt's daemon, as `[9, 0, 0]`; `undefined` if it does not tell. */
  async daemonVersion(): Promise<number[] | undefined> {
    const printed = await this.run('version', '--daemon').catch(() => '');
    return /^Running against daemon: (\d+)\.(\d+)\.(\d+)/m.exec(printed)?.slice(1).map(Number);
  }
}
