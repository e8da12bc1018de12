/**
 * A libvirtd of the test's own: session mode, its state below one directory, so that it needs no systemd and no libvirtd of the host's
 * is touched. Under root it runs as nobody, because root always gets system mode.
 */
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { startProgram, waitForListener } from '../../examples/demo/lifetime.js';
import type { Host } from './host.js';

const nobody = 65534;
const asNobody = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
export const isRoot = process.getuid?.() === 0;

export interface Libvirt {
  /** Writable for the user that guests run as. */
  readonly dir: string;
  virsh(...args: string[]): Promise<string>;
}

export async function startLibvirt(host: Host): Promise<Libvirt> {
  const dir = join(host.dir, 'libvirt');
  const places = {
    HOME: join(dir, 'home'),
    XDG_RUNTIME_DIR: join(dir, 'run'),
    XDG_CONFIG_HOME: join(dir, 'config'),
    XDG_CACHE_HOME: join(dir, 'cache'),
  };
  const config = join(dir, 'config', 'libvirt');
  for (const path of [...Object.values(places), config]) await mkdir(path, { recursive: true });
  await writeFile(join(config, 'libvirtd.conf'), `log_outputs = "2:file:${dir}/libvirtd.log"\nauth_unix_rw = "none"\n`);
  await writeFile(join(config, 'qemu.conf'), 'stdio_handler = "file"\nsecurity_driver = "none"\n');
  if (isRoot) for (const path of [dir, config, ...Object.values(places)]) await chown(path, nobody, nobody);

  const command = ['/usr/sbin/libvirtd', '--timeout', '0', '-p', join(dir, 'run', 'pid'), '-f', join(config, 'libvirtd.conf')];
  const [file = '', ...args] = isRoot ? [...asNobody, ...command] : command;
  const libvirtd = startProgram(host.lifetime, file, args, join(host.dir, 'libvirtd.log'), { env: places });
  const socketPath = join(places.XDG_RUNTIME_DIR, 'libvirt', 'libvirt-sock');
  await waitForListener({ path: socketPath }, libvirtd, 60_000);
  const uri = `qemu+unix:///session?socket=${socketPath}`;
  return {
    dir,
    async virsh(...virshArgs) {
      return (await execa('virsh', ['-q', '-c', uri, ...virshArgs])).stdout;
    },
  };
}
