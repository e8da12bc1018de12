/** `copse libvirt` as a command: what it prints, and with which exit code. What it does to real guests is in test/libvirt. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { busyDisk } from '../admin/fake-disks.js';
import { shortDir } from '../support/short-dir.js';
import { fakeDaemon, run, start } from './run.js';

const nbd = (name: string) => `<source protocol='nbd' name='${name}'><host transport='unix' socket='/run/copse/nbd.sock'/></source>`;
const disk = (source: string, target: string) =>
  `<disk type='network' device='disk'>${source}<target dev='${target}' bus='virtio'/></disk>`;
const below = (source: string) =>
  `<source file='/o'/><backingStore type='network'><format type='raw'/>${source}<backingStore/></backingStore>`;

/** The hypervisor in memory that libvirt has for tests. */
async function hypervisor(t: Test): Promise<string> {
  const path = join(t.testdir(), 'node.xml');
  const overlay = disk(below(nbd('debian/12')), 'vdb').replace("type='network'", "type='file'");
  const devices: [string, string][] = [
    ['web', disk(nbd('vm/1'), 'vda') + overlay],
    ['old', disk(nbd('gone'), 'vda')],
    ['else', ''],
  ];
  const domains = devices.map(([name, disks]) => {
    return `<domain type='test'><name>${name}</name><memory>65536</memory><os><type>hvm</type></os><devices>${disks}</devices></domain>`;
  });
  await writeFile(path, `<node>${domains.join('')}</node>`);
  return `test://${path}`;
}

async function daemonWithDisk(t: Test) {
  const daemon = await fakeDaemon(t);
  daemon.control.disks.known.set(busyDisk.name, busyDisk);
  return daemon;
}

t.test('libvirt xml', async (t) => {
  const { cli } = await daemonWithDisk(t);
  const ofDisk = await cli('libvirt', 'xml', 'vm/1');
  t.equal(ofDisk.exitCode, 0, ofDisk.stderr);
  t.match(ofDisk.stdout, /^<disk type="network" device="disk">\n/);
  t.match(ofDisk.stdout, '<source protocol="nbd" name="vm/1">');
  t.match(ofDisk.stdout, '<host transport="unix" socket="/run/copse/nbd.sock"/>');
  t.match(ofDisk.stdout, '<serial>6f1c2f0a2c0e4f0b9d1a</serial>');
  t.notMatch(ofDisk.stdout, '<readonly/>');
  t.equal(ofDisk.stderr, '');
  t.match((await cli('libvirt', 'xml', 'debian/12')).stdout, '<readonly/>');

  const overlay = await cli('libvirt', 'xml', 'debian/12', '--overlay', '/o.qcow2', '--bus', 'scsi', '--cache', 'writeback', '--json');
  t.match(JSON.parse(overlay.stdout), { target: 'sda', bus: 'scsi', overlayPath: '/o.qcow2', xml: /<backingStore type="network">/ });
  t.match(overlay.stderr, /^copse: create the overlay by: qemu-img create -f qcow2 -F raw -b 'nbd\+unix:\/\/\/debian\/12\?socket=/);
});

t.test('libvirt xml refuses what can not be', async (t) => {
  const { cli } = await daemonWithDisk(t);
  const cases: [args: string[], code: string, exitCode: number][] = [
    [['gone'], 'ERR_NO_SUCH_EXPORT', 4],
    [['vm/1', '--tcp'], 'ERR_NO_LISTENER', 5],
    [['vm/1', '--bus', 'ide'], 'ERR_OPTION', 2],
    [['vm/1', '--target', 'sda', '--bus', 'virtio'], 'ERR_OPTION', 2],
    [['vm/1', '--cache', 'some'], 'ERR_OPTION', 2],
    [['vm/1', '--reconnect', 'soon'], 'ERR_OPTION', 2],
    [['vm/1', '--boot', '0'], 'ERR_OPTION', 2],
    [['debian/12', '--bus', 'sata'], 'ERR_OPTION', 2],
  ];
  for (const [args, code, expected] of cases) {
    const { exitCode, stdout } = await cli('libvirt', 'xml', ...args, '--json');
    t.equal(JSON.parse(stdout).error.code, code, args.join(' '));
    t.equal(exitCode, expected, args.join(' '));
  }
});

t.test('libvirt ls', async (t) => {
  const { cli } = await daemonWithDisk(t);
  const uri = await hypervisor(t);
  const { stdout, exitCode, stderr } = await cli('libvirt', 'ls', '--connect', uri);
  t.equal(exitCode, 0, stderr);
  const [head, ...rows] = stdout.split('\n');
  t.match(head, /^DOMAIN +STATE +TARGET +EXPORT +KIND +BYTES$/);
  t.match(rows, [
    /^old +running +vda +gone +\? +NOT SERVED/,
    /^web +running +vda +vm\/1 +disk +3 GiB written here; 1 GiB to come from host-c; 64 MiB to come from host-d, WHICH DOES NOT ANSWER; image debian\/12 25 % of 1 GiB cached/,
    /^web +running +vdb +debian\/12 +image below qcow2 +25 % of 1 GiB cached; read from cache 66 %, peer 30 %, origin 3 %$/,
  ]);
  t.match((await cli('libvirt', 'ls', '--connect', uri, '--all')).stdout, /^else +running +- +- +- +-$/m);
  const domains = JSON.parse((await cli('libvirt', 'ls', '--connect', uri, '--json')).stdout);
  t.match(domains, [{ name: 'old' }, { name: 'web', disks: [{ bytes: { disk: { owner: 'host-a' } } }, { overlays: 1 }] }]);
  t.match((await cli('libvirt', 'ls', '--connect', 'test:///default')).stdout, /no domain has a disk/);
});

t.test('libvirt attach and detach', async (t) => {
  const { cli } = await daemonWithDisk(t);
  const uri = await hypervisor(t);
  const cases: [args: string[], code: string, exitCode: number][] = [
    [['attach', 'gone', 'vm/1'], 'ERR_NO_SUCH_DOMAIN', 4],
    [['attach', 'web', 'gone'], 'ERR_NO_SUCH_EXPORT', 4],
    [['attach', 'web', 'vm/1'], 'ERR_DISK_ATTACHED', 5],
    [['attach', 'else', 'vm/1', '--live'], 'ERR_DISK_IN_USE', 5],
    [['attach', 'else', 'debian/12', '--config'], 'ERR_LIBVIRT', 1],
    [['detach', 'else', 'vm/1'], 'ERR_DISK_NOT_ATTACHED', 4],
    [['detach', 'web', 'vm/1', '--target', 'vdb'], 'ERR_DISK_NOT_ATTACHED', 4],
    [['detach', 'web', 'debian/12'], 'ERR_LIBVIRT', 1],
  ];
  for (const [args, code, expected] of cases) {
    const { exitCode, stdout } = await cli('libvirt', ...args, '--connect', uri, '--json');
    t.equal(JSON.parse(stdout).error.code, code, args.join(' '));
    t.equal(exitCode, expected, args.join(' '));
  }
});

t.test('a disk can be detached though its daemon is gone', async (t) => {
  const { stdout, stderr } = await run(['libvirt', 'detach', 'else', 'vm/1', '--state', shortDir(t), '-c', await hypervisor(t), '--json']);
  t.equal(JSON.parse(stdout).error.code, 'ERR_DISK_NOT_ATTACHED');
  t.match(stderr, /by its name alone/);
});

t.test('without the binding, or virsh, says what to install', async (t) => {
  const { stateDir } = await daemonWithDisk(t);
  const hide = `import { register } from 'node:module';
    register('data:text/javascript,' + encodeURIComponent(\`export const resolve = (name, context, next) => {
      if (name === '@unraid/libvirt') throw Object.assign(new Error('hidden'), { code: 'ERR_MODULE_NOT_FOUND' });
      return next(name, context);
    };\`));`;
  const hidden = { env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hide)}` } };
  const noBinding = await run(['libvirt', 'ls', '--state', stateDir, '--json'], hidden);
  t.equal(JSON.parse(noBinding.stdout).error.code, 'ERR_NO_LIBVIRT_BINDING');
  t.match(noBinding.stderr, /apt-get install .*libvirt-dev.* npm install @unraid\/libvirt/);
  t.equal((await run(['libvirt', 'xml', 'vm/1', '--state', stateDir], hidden)).exitCode, 0, 'which needs neither');

  const args = ['libvirt', 'attach', 'else', 'debian/12', '--state', stateDir, '-c', await hypervisor(t), '--json'];
  const noVirsh = await run(args, { env: { PATH: '/nonexistent' } });
  t.equal(JSON.parse(noVirsh.stdout).error.code, 'ERR_NO_VIRSH');
});

t.test('libvirt hook', async (t) => {
  const { control, stateDir } = await daemonWithDisk(t);
  const domain = (...names: string[]) =>
    `<domain><name>web</name><devices>${names.map((name) => disk(nbd(name), 'vda')).join('')}</devices></domain>`;
  const hook = (input: string, ...args: string[]) =>
    start(['libvirt', 'hook', 'web', ...args, '-', '--state', stateDir], { stdin: 'pipe', input });

  const served = await hook(domain('vm/1', 'debian/12'), 'prepare', 'begin');
  t.same([served.exitCode, served.stdout, served.stderr], [0, '', '']);
  const gone = await hook(domain('vm/1', 'gone'), 'prepare', 'begin');
  t.same([gone.exitCode, gone.stdout], [1, '']);
  t.match(gone.stderr, /no disk and no image gone/);
  t.equal((await hook(domain('gone'), 'started', 'begin')).exitCode, 0);

  const warmed: string[] = [];
  const warm = control.images.warm.bind(control.images);
  control.images.warm = (name, options) => {
    warmed.push(name);
    return warm(name, options);
  };
  const arrives = await hook(domain('vm/1'), 'migrate', 'begin');
  t.same([arrives.exitCode, arrives.stdout, warmed], [0, '', ['debian/12']]);
});

t.test('libvirt hook where no daemon answers', async (t) => {
  const dir = shortDir(t);
  const config = join(dir, 'copse.toml');
  await writeFile(config, `state = "${dir}/state"\nlisten = ["unix:/run/copse/nbd.sock"]\n`);
  const domain = (source: string) => `<domain><name>web</name><devices>${disk(source, 'vda')}</devices></domain>`;
  const hook = (input: string) =>
    start(['libvirt', 'hook', 'web', 'prepare', 'begin', '--config', config, '--wait', '0'], { stdin: 'pipe', input });
  const refused = await hook(domain(nbd('vm/1')));
  t.equal(refused.exitCode, 1);
  t.match(refused.stderr, /copse does not run, and would serve vm\/1/);
  t.equal((await hook(domain(nbd('vm/1').replace('/run/copse', '/run/other')))).exitCode, 0, "another server's disk");
});
