import t from 'tap';
import { parseDomain } from '../../src/libvirt/domain-xml.js';
import type { Domain } from '../../src/libvirt/hypervisor.js';
import { takeInventory } from '../../src/libvirt/inventory.js';
import { explanation, FakeControl } from '../admin/fake-control.js';
import { busyDisk } from '../admin/fake-disks.js';

/** With disks as `target=export`; `@` before an export puts it below an overlay, `!` at another server. */
function domainOf(name: string, ...disks: string[]): Domain {
  const elements = disks.map((text) => {
    const [target = '', rest = ''] = text.split('=');
    const [exportName, socket] = [rest.replace(/[@!]/, ''), rest.includes('!') ? '/other' : '/run/copse/nbd.sock'];
    const source = `<source protocol='nbd' name='${exportName}'><host transport='unix' socket='${socket}'/></source>`;
    const layer = rest.includes('@') ? `<source file='/o'/><backingStore>${source}</backingStore>` : source;
    return `<disk>${layer}<target dev='${target}' bus='virtio'/></disk>`;
  });
  const current = parseDomain(`<domain><name>${name}</name><uuid>u</uuid><devices>${elements.join('')}</devices></domain>`);
  return { name, uuid: 'u', state: 'running', active: true, persistent: false, current };
}

async function createControl(): Promise<FakeControl> {
  const control = new FakeControl();
  control.disks.known.set(busyDisk.name, busyDisk);
  await control.images.add({ name: 'debian/12', url: 'https://images.example/d.raw' });
  return control;
}

t.test('which disks are of this daemon, and where their bytes come from', async (t) => {
  const control = await createControl();
  const domains = [domainOf('db', 'vda=!debian/12', 'vdb=gone'), domainOf('web', `vda=${busyDisk.name}`, 'vdb=@debian/12')];
  const [db, web] = await takeInventory(domains, control);
  t.match(db, { name: 'db', state: 'running', persistent: false });
  t.same(db?.disks, [{ target: 'vdb', bus: 'virtio', export: 'gone', overlays: 0, bytes: undefined }]);
  const { sizeBytes, cache } = await control.images.status('debian/12');
  const image = { name: 'debian/12', sizeBytes, cachedBytes: cache.cachedBytes };
  const { place, owner, toCome } = busyDisk;
  t.match(web?.disks[0], { target: 'vda', bytes: { kind: 'disk', sizeBytes: busyDisk.sizeBytes, image, disk: { place, owner, toCome } } });
  const { cache: fromCache, peer, origin } = explanation.sources;
  const read = { cache: fromCache.bytes, peer: peer.bytes, origin: origin.bytes };
  t.same(web?.disks[1], {
    target: 'vdb',
    bus: 'virtio',
    export: 'debian/12',
    overlays: 1,
    bytes: { kind: 'image', sizeBytes, image, read, disk: undefined },
  });
});

t.test('asks of each export once', async (t) => {
  const control = await createControl();
  let asked = 0;
  const explain = control.node.explain.bind(control.node);
  control.node.explain = (name) => {
    asked += 1;
    return explain(name);
  };
  const inventory = await takeInventory([domainOf('a', 'vda=debian/12'), domainOf('b', 'vda=debian/12')], control);
  t.equal(inventory.flatMap(({ disks }) => disks).length, 2);
  t.equal(asked, 1);
});

t.test('a failure of the daemon is one', async (t) => {
  const control = await createControl();
  control.failure = Object.assign(new Error('broken'), { code: 'ERR_BROKEN' });
  await t.rejects(takeInventory([domainOf('a', 'vda=debian/12')], control), { code: 'ERR_BROKEN' });
});
