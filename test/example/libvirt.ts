/**
 * A libvirtd of the test's own: session mode, its state below one directory, so that it needs no systemd and no libvirtd of the host's
 * is touched. Under root it runs as nobody, because root always gets system mode.
 */
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { type Lifetime, startProgram, waitForListener } from '../../examples/demo/lifetime.js';

const nobody = 65534;
const asNobody = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
export const isRoot = process.getuid?.() === 0;

export interface Libvirt {
  /** Writable for the user that guests run as. */
  readonly dir: string;
  readonly uri: string;
  virsh(...args: string[]): Promise<string>;
}

/** @param host `hostUuid` tells two of them apart, between which guests move; `wrap` makes the command that starts it elsewhere */
export async function startLibvirt(host: {
  dir: string;
  lifetime: Lifetime;
  hostUuid?: string;
  wrap?(command: string[]): string[];
}): Promise<Libvirt> {
  const dir = join(host.dir, 'libvirt');
  const places = {
    HOME: join(dir, 'home'),
    XDG_RUNTIME_DIR: join(dir, 'run'),
    XDG_CONFIG_HOME: join(dir, 'config'),
    XDG_CACHE_HOME: join(dir, 'cache'),
  };
  const config = join(dir, 'config', 'libvirt');
  for (const path of [...Object.values(places), config]) await mkdir(path, { recursive: true });
  const settings = [`log_outputs = "2:file:${dir}/libvirtd.log"`, 'auth_unix_rw = "none"'];
  if (host.hostUuid !== undefined) settings.push(`host_uuid = "${host.hostUuid}"`);
  await writeFile(join(config, 'libvirtd.conf'), `${settings.join('\n')}\n`);
  await writeFile(join(config, 'qemu.conf'), 'stdio_handler = "file"\nsecurity_driver = "none"\n');
  if (isRoot) for (const path of [dir, config, ...Object.values(places)]) await chown(path, nobody, nobody);

  const command = ['/usr/sbin/libvirtd', '--timeout', '0', '-p', join(dir, 'run', 'pid'), '-f', join(config, 'libvirtd.conf')];
  const own = isRoot ? [...asNobody, ...command] : command;
  const [file = '', ...args] = host.wrap?.(own) ?? own;
  const libvirtd = startProgram(host.lifetime, file, args, join(host.dir, 'libvirtd.log'), { env: places });
  const socketPath = join(places.XDG_RUNTIME_DIR, 'libvirt', 'libvirt-sock');
  await waitForListener({ path: socketPath }, libvirtd, 60_000);
  const uri = `qemu+unix:///session?socket=${socketPath}`;
  return {
    dir,
    uri,
    async virsh(...virshArgs) {
      return (await execa('virsh', ['-q', '-c', uri, ...virshArgs])).stdout;
    },
  };
}
