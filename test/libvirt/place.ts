/** A host in miniature for guests: a daemon of the test's own, that serves the disk which the one-sector guest boots from. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { Lifetime, type Program, startProgram } from '../../examples/demo/lifetime.js';
import { type CliResult, runShared } from '../cli/run.js';
import { buildGuest } from './guest.js';

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export class Place {
  readonly dir: string;
  readonly lifetime = new Lifetime();
  readonly socketPath: string;

  private constructor(dir: string) {
    this.dir = dir;
    this.socketPath = join(dir, 'nbd.sock');
  }

  /** Ends with the test, what was started last first. An image `guest` lies ready, which is served by nobody yet. */
  static async create(t: Test): Promise<Place> {
    // Not t.testdir: a unix socket's path may have 107 bytes only, and QEMU, another user, has to get there.
    const place = new Place(await mkdtemp(join(tmpdir(), 'copse-libvirt-')));
    await chmod(place.dir, 0o755);
    t.teardown(async () => {
      await place.lifetime.end();
      await rm(place.dir, { recursive: true, force: true });
    });
    await writeFile(join(place.dir, 'guest.raw'), await buildGuest());
    return place;
  }

  get adminAddress(): string {
    return `unix:${join(this.dir, 'state', 'admin.sock')}`;
  }

  /** Starts the daemon, and resolves when it serves the image `guest`, and the disks that it had. */
  async serve(config: { socketGroup?: string; socketMode: string }): Promise<Program> {
    const path = join(this.dir, 'copse.toml');
    const lines = [`state = "${this.dir}/state"`, `listen = ["unix:${this.socketPath}"]`, `socket_mode = "${config.socketMode}"`];
    if (config.socketGroup !== undefined) lines.push(`socket_group = "${config.socketGroup}"`);
    await writeFile(path, `${lines.join('\n')}\n[cache]\nmin_free = "0"\n`);
    const args = [command, 'serve', '--config', path, '--image', `guest=${this.dir}/guest.raw`];
    const daemon = startProgram(this.lifetime, process.execPath, args, join(this.dir, 'copse.log'));
    if (!(await daemon.waitForLine(/^copse: ready/))) throw new Error('the daemon ended before it was ready');
    return daemon;
  }

  /** Runs a command of Copse against that daemon. */
  copse(...args: string[]): Promise<CliResult> {
    return runShared([...args, '--admin', this.adminAddress]);
  }

  /** An executable that is the command, for programs that run it. */
  async commandPath(): Promise<string> {
    const path = join(this.dir, 'bin', 'copse');
    await mkdir(join(this.dir, 'bin'), { recursive: true });
    await writeFile(path, `#!/bin/sh\nexec '${process.execPath}' '${command}' "$@"\n`, { mode: 0o755 });
    return path;
  }
}
