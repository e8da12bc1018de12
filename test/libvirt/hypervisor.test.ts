/** The binding itself, against the hypervisor in memory that libvirt brings along for tests. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { findDomain, Hypervisor } from '../../src/libvirt/hypervisor.js';
import { Virsh } from '../../src/libvirt/virsh.js';

const node = `<node>
  <domain type='test'><name>web</name><uuid>11111111-1111-4111-8111-111111111111</uuid><memory>65536</memory><os><type>hvm</type></os>
    <devices><disk type='network' device='disk'><source protocol='nbd' name='debian/12'><host transport='unix' socket='/s'/></source><target dev='vda' bus='virtio'/></disk></devices>
  </domain>
  <domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
    <name>off</name><memory>65536</memory><os><type>hvm</type></os><test:runstate>5</test:runstate>
  </domain>
</node>`;

async function uriOf(t: Test): Promise<string> {
  const path = join(t.testdir(), 'node.xml');
  await writeFile(path, node);
  return `test://${path}`;
}

t.test('lists domains, their states and disks', async (t) => {
  const hypervisor = await Hypervisor.open(await uriOf(t));
  t.teardown(() => hypervisor.close());
  const domains = await hypervisor.domains();
  t.match(domains, [
    { name: 'off', state: 'shut off', active: false, persistent: true, current: { disks: [] } },
    { name: 'web', state: 'running', active: true, persistent: true, current: { disks: [{ target: 'vda' }] }, config: { disks: [{}] } },
  ]);
  t.equal(findDomain(domains, '11111111-1111-4111-8111-111111111111').name, 'web');
  t.throws(() => findDomain(domains, 'gone'), { code: 'ERR_NO_SUCH_DOMAIN' });
});

t.test('takes the URI from the environment where none is given', async (t) => {
  t.teardown(() => delete process.env['VIRSH_DEFAULT_CONNECT_URI']);
  process.env['VIRSH_DEFAULT_CONNECT_URI'] = await uriOf(t);
  const hypervisor = await Hypervisor.open(undefined);
  t.equal((await hypervisor.domains()).length, 2);
  await hypervisor.close();
});

t.test('says that nobody answers', async (t) => {
  await t.rejects(Hypervisor.open('qemu+unix:///system?socket=/not/there'), { code: 'ERR_LIBVIRT' });
});

t.test('without the binding, or its addon, says what to install', async (t) => {
  const missing = async () => import(String('a-package-that-nobody-has'));
  await t.rejects(Hypervisor.open('test:///default', missing), { code: 'ERR_NO_LIBVIRT_BINDING', message: /npm install @unraid\/libvirt/ });
  class NotBuilt {
    constructor() {
      throw Object.assign(new Error("Cannot find module '../build/Release/libvirt'"), { code: 'MODULE_NOT_FOUND' });
    }
  }
  await t.rejects(
    Hypervisor.open('test:///default', async () => ({ Hypervisor: NotBuilt })),
    { code: 'ERR_NO_LIBVIRT_BINDING' },
  );
});

t.test('a domain that goes away while it is described is left out', async (t) => {
  const answers = (name: string, getInfo: () => Promise<{ state: number }>) => ({
    getUUIDString: async () => `uuid-${name}`,
    getInfo,
    getXMLDesc: async () => `<domain><name>${name}</name><uuid>uuid-${name}</uuid></domain>`,
  });
  const gone = answers('gone', () => Promise.reject(new Error('Domain not found: no domain with matching uuid')));
  const stays = answers('stays', async () => ({ state: 1 }));
  const broken = answers('broken', () => Promise.reject(new Error('out of memory')));
  const load = (domains: object[]) => async () => ({
    Hypervisor: class {
      async connectOpen() {}
      async connectClose() {}
      async connectListAllDomains(flags: number) {
        return flags === 3 ? domains : [];
      }
    },
  });
  const hypervisor = await Hypervisor.open('x', load([gone, stays]));
  t.match(await hypervisor.domains(), [{ name: 'stays', state: 'running', active: true, persistent: false, config: undefined }]);
  await t.rejects((await Hypervisor.open('x', load([broken]))).domains(), { code: 'ERR_LIBVIRT' });
});

t.test('virsh', async (t) => {
  const virsh = new Virsh(await uriOf(t));
  t.match(await virsh.run('list', '--name'), 'web');
  t.equal((await virsh.daemonVersion())?.length, 3);
  await t.rejects(virsh.changeDevice('attach-device', 'web', '<disk/>', ['live']), {
    code: 'ERR_LIBVIRT',
    message: /^virsh attach-device: Failed to attach/,
  });
  t.equal(await new Virsh('qemu+unix:///system?socket=/not/there').daemonVersion(), undefined);
});

t.test('without virsh says what to install', async (t) => {
  const path = process.env['PATH'];
  t.teardown(() => {
    process.env['PATH'] = path;
  });
  process.env['PATH'] = t.testdir();
  await t.rejects(new Virsh(undefined).run('list'), { code: 'ERR_NO_VIRSH', message: /libvirt-clients/ });
});
