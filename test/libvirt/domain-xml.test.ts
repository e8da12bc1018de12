import t from 'tap';
import { parseDomain } from '../../src/libvirt/domain-xml.js';

const domain = (devices: string): string => `<domain type='kvm'><name>web</name><uuid>u</uuid><devices>${devices}</devices></domain>`;

t.test('disks, their targets, and the exports below them', async (t) => {
  const xml = domain(`
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw'/>
      <source protocol='nbd' name='web/1' tls='no' index='1'><host transport='unix' socket='/s'/></source>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <source file='/b.qcow2'/>
      <backingStore type='file'><format type='qcow2'/><source file='/a.qcow2'/>
        <backingStore type='network'><format type='raw'/><source protocol='nbd' name='debian'><host name='kvm-1' port='1'/></source><backingStore/></backingStore>
      </backingStore>
      <target dev='vdb'/><readonly/>
    </disk>
    <disk type='network' device='cdrom'><source protocol='nbd'><host name='kvm-1'/></source><target dev='sda' bus='sata'/></disk>
    <disk type='network' device='disk'><source protocol='rbd' name='pool/x'><host name='ceph'/></source><target dev='vdc' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><target dev='sdb' bus='sata'/></disk>`);
  const { name, uuid, disks } = parseDomain(xml);
  t.same([name, uuid], ['web', 'u']);
  t.same(
    disks.map(({ target, bus, readOnly, sources }) => ({ target, bus, readOnly, sources })),
    [
      { target: 'vda', bus: 'virtio', readOnly: false, sources: [{ exportName: 'web/1', address: { path: '/s' }, depth: 0 }] },
      { target: 'vdb', bus: undefined, readOnly: true, sources: [{ exportName: 'debian', address: { host: 'kvm-1', port: 1 }, depth: 2 }] },
      { target: 'sda', bus: 'sata', readOnly: false, sources: [{ exportName: '', address: { host: 'kvm-1', port: 10809 }, depth: 0 }] },
      { target: 'vdc', bus: 'virtio', readOnly: false, sources: [] },
      { target: 'sdb', bus: 'sata', readOnly: false, sources: [] },
    ],
  );
});

t.test('a domain without devices has no disks; what is no domain is refused', async (t) => {
  t.same(parseDomain('<domain><name>a</name></domain>'), { name: 'a', uuid: '', disks: [] });
  t.throws(() => parseDomain('<network/>'), { code: 'ERR_XML' });
  t.throws(() => parseDomain('no XML'), { code: 'ERR_XML' });
});
