import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { type DiskXml, formatDisk, overlayCommand } from '../../src/libvirt/disk-xml.js';
import { parseDomain } from '../../src/libvirt/domain-xml.js';
import { childOf, parseXml } from '../../src/libvirt/xml.js';

const disk: DiskXml = {
  exportName: 'web/1',
  address: { path: '/run/copse/nbd.sock' },
  readOnly: false,
  bus: 'virtio',
  target: 'vda',
  serial: '6f1c2f0a2c0e4f0b9d1a',
  cache: 'none',
  reconnectSeconds: 60,
};

t.test('a disk on a unix socket', async (t) => {
  t.equal(
    formatDisk(disk),
    `<disk type="network" device="disk">
  <driver name="qemu" type="raw" cache="none" discard="unmap" error_policy="stop" rerror_policy="stop"/>
  <source protocol="nbd" name="web/1">
    <host transport="unix" socket="/run/copse/nbd.sock"/>
    <reconnect delay="60"/>
  </source>
  <target dev="vda" bus="virtio"/>
  <serial>6f1c2f0a2c0e4f0b9d1a</serial>
</disk>
`,
  );
});

t.test('an image over TCP, with the whole of the rest', async (t) => {
  const xml = formatDisk({
    ...disk,
    readOnly: true,
    address: { host: '::1', port: 10809 },
    bus: 'scsi',
    target: 'sdb',
    bootOrder: 2,
    reconnectSeconds: 0,
  });
  const root = parseXml(xml);
  t.match(xml, '<host name="::1" port="10809"/>');
  t.match(xml, '<boot order="2"/>');
  t.ok(childOf(root, 'readonly'));
  t.notMatch(xml, 'reconnect delay');
});

t.test('an overlay takes the writes, and is no network disk', async (t) => {
  const overlay = { ...disk, readOnly: true, overlayPath: "/var/lib/it's <here>.qcow2" };
  const xml = formatDisk(overlay);
  t.match(xml, /^<disk type="file"/);
  t.notMatch(xml, '<readonly');
  const [parsed] = parseDomain(`<domain><devices>${xml}</devices></domain>`).disks;
  t.same(parsed?.sources, [{ exportName: 'web/1', address: { path: '/run/copse/nbd.sock' }, depth: 1 }]);
  t.equal(
    overlayCommand(overlay),
    `qemu-img create -f qcow2 -F raw -b 'nbd+unix:///web/1?socket=/run/copse/nbd.sock' '/var/lib/it'\\''s <here>.qcow2'`,
  );
});

t.test('names are escaped', async (t) => {
  const nasty = `a"b'<c>&d`;
  const [parsed] = parseDomain(`<domain><devices>${formatDisk({ ...disk, exportName: nasty })}</devices></domain>`).disks;
  t.equal(parsed?.sources[0]?.exportName, nasty);
});

t.test('QEMU has no read-only sata disk', async (t) => {
  t.throws(() => formatDisk({ ...disk, readOnly: true, bus: 'sata', target: 'sda' }), { code: 'ERR_OPTION' });
  t.match(formatDisk({ ...disk, readOnly: true, bus: 'sata', target: 'sda', overlayPath: '/o' }), 'bus="sata"');
});

t.test("libvirt's schema takes every form, but for <reconnect>, which it knows from 9.5 on", async (t) => {
  const forms: Partial<DiskXml>[] = [
    {},
    { readOnly: true, cache: 'writeback', bootOrder: 1 },
    { address: { host: 'kvm-1', port: 1 }, bus: 'sata', target: 'sdb' },
    { address: { host: '::1', port: 10809 }, bus: 'scsi', target: 'sdc' },
    { overlayPath: '/var/lib/libvirt/images/web 2.qcow2', target: 'vdb' },
  ];
  const disks = forms.map((form) => formatDisk({ ...disk, ...form, reconnectSeconds: 0 }));
  const path = join(t.testdir(), 'domain.xml');
  const machine = "<memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>";
  await writeFile(path, `<domain type='qemu'><name>a</name>${machine}<devices>${disks.join('')}</devices></domain>`);
  const { exitCode, all } = await execa('virt-xml-validate', [path], { reject: false, all: true });
  t.equal(exitCode, 0, all);
});
