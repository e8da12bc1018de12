/**
 * A system-mode libvirtd of the test's own, which runs QEMU as the user libvirt-qemu: in namespaces of mounts, network and host name, over directories
 * of its own, so that it needs no systemd and the host's libvirt is not touched.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { startProgram, waitForListener } from '../../examples/demo/lifetime.js';
import type { Place } from './place.js';

/** The reason to skip, or `false`. */
export async function noSystemLibvirt(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'only root runs a system-mode libvirtd';
  const { exitCode } = await execa('unshare', ['-m', '-n', '-u', '--propagation', 'private', 'true'], { reject: false });
  if (exitCode !== 0) return 'namespaces are not permitted here';
  const { exitCode: found } = await execa('id', ['libvirt-qemu'], { reject: false });
  return found === 0 ? false : 'there is no user libvirt-qemu: apt-get install libvirt-daemon-system';
}

export interface SystemLibvirt {
  uri: string;
  /** Stands for /etc/libvirt. */
  configDir: string;
  virsh(...args: string[]): Promise<string>;
  /** The process of a domain that runs. */
  pidOf(domain: string): Promise<number>;
}

/** A capability to run KVM is hidden: where /dev/kvm exists and does not work, libvirt probes QEMU anew for each call. */
const start = (dir: string): string => `
for part in run:/run/libvirt lib:/var/lib/libvirt etc:/etc/libvirt log:/var/log/libvirt cache:/var/cache/libvirt; do
  mkdir -p "\${part#*:}"
  mount --bind "${dir}/\${part%%:*}" "\${part#*:}"
done
if [ -e /dev/kvm ]; then
  : >"${dir}/no-kvm"
  chmod 0 "${dir}/no-kvm"
  mount --bind "${dir}/no-kvm" /dev/kvm
fi
ip link set lo up
exec /usr/sbin/libvirtd -p "${dir}/libvirtd.pid"
`;

/** @param options `hook`: the text of a hook script, which libvirtd looks for when it starts */
export async function startSystemLibvirt(place: Place, options: { hook?: string } = {}): Promise<SystemLibvirt> {
  const dir = join(place.dir, 'libvirt');
  for (const part of ['run', 'lib', 'etc', 'log', 'cache', 'sock']) await mkdir(join(dir, part), { recursive: true });
  const configDir = join(dir, 'etc');
  const daemon = [
    `unix_sock_dir = "${dir}/sock"`,
    'auth_unix_rw = "none"',
    'auth_unix_ro = "none"',
    'host_uuid = "a5a5a5a5-0000-4000-8000-000000000001"',
    `log_outputs = "2:file:${dir}/log/libvirtd.log"`,
  ];
  await writeFile(join(configDir, 'libvirtd.conf'), `${daemon.join('\n')}\n`);
  // User and group are Debian's defaults. A private /dev can't be made over the hidden /dev/kvm.
  await writeFile(join(configDir, 'qemu.conf'), 'stdio_handler = "file"\ncgroup_controllers = [ ]\nnamespaces = [ ]\n');
  if (options.hook !== undefined) {
    await mkdir(join(configDir, 'hooks'));
    await writeFile(join(configDir, 'hooks', 'qemu'), options.hook, { mode: 0o755 });
  }

  place.lifetime.onEnd(() => endGuests(join(dir, 'run', 'qemu')));
  const args = ['-m', '-n', '-u', '--propagation', 'private', 'sh', '-ec', start(dir)];
  const libvirtd = startProgram(place.lifetime, 'unshare', args, join(dir, 'start.log'));
  const socketPath = join(dir, 'sock', 'libvirt-sock');
  await waitForListener({ path: socketPath }, libvirtd, 60_000);
  const uri = `qemu+unix:///system?socket=${socketPath}`;
  return {
    uri,
    configDir,
    async virsh(...virshArgs) {
      return (await execa('virsh', ['-q', '-c', uri, ...virshArgs], { env: { LC_ALL: 'C' } })).stdout;
    },
    async pidOf(domain) {
      return Number(await readFile(join(dir, 'run', 'qemu', `${domain}.pid`), 'utf8'));
    },
  };
}

/** They outlive their libvirtd. Called when that is gone. */
async function endGuests(folder: string): Promise<void> {
  const files = await readdir(folder).catch(() => []);
  for (const file of files.filter((name) => name.endsWith('.pid'))) {
    try {
      process.kill(Number(await readFile(join(folder, file), 'utf8')), 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
}
