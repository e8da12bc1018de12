import { chown, copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { blockByte, createHost, examplesDir, imageSizeBytes } from './host.js';
import { isRoot, startLibvirt } from './libvirt.js';

const example = join(examplesDir, 'libvirt', 'domain.xml');

/** Replaces what must be there. */
function replace(text: string, changes: Record<string, string>): string {
  let result = text;
  for (const [from, to] of Object.entries(changes)) {
    if (!result.includes(from)) throw new Error(`the example has no ${from}`);
    result = result.replaceAll(from, to);
  }
  return result;
}

t.test('the domain is valid but for <reconnect>, which libvirt knows from 9.5 on', async (t) => {
  const host = await createHost(t);
  const xml = join(host.dir, 'domain.xml');
  await writeFile(xml, (await readFile(example, 'utf8')).replace(/<reconnect .*\/>/, ''));
  const { exitCode, all } = await execa('virt-xml-validate', [xml], { reject: false, all: true });
  t.equal(exitCode, 0, all);
});

t.test('a domain with the wrapper rides over kill -9 and restart of the daemon', async (t) => {
  const host = await createHost(t);
  const daemon = await host.serve();
  const { virsh, dir } = await startLibvirt(host);
  const overlay = join(dir, 'debian-1.qcow2');
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', overlay, String(imageSizeBytes)]);
  if (isRoot) await chown(overlay, 65534, 65534);
  const wrapper = join(dir, 'qemu-copse');
  await copyFile(join(examplesDir, 'libvirt', 'qemu-copse'), wrapper);

  const xml = join(host.dir, 'domain.xml');
  const changes = {
    "type='kvm'": "type='qemu'",
    "unit='MiB'>1024<": "unit='MiB'>128<",
    '/usr/local/bin/qemu-copse': wrapper,
    '/var/lib/libvirt/images/debian-1.qcow2': overlay,
    '/run/copse/nbd.sock': host.socketPath,
  };
  // Where the test's directory is on a file system without O_DIRECT, the cache mode must not ask for it.
  await writeFile(xml, replace(await readFile(example, 'utf8'), { ...changes, " cache='none'": '' }));
  await virsh('define', xml);
  await virsh('start', 'debian-1', '--paused');
  host.lifetime.onEnd(async () => {
    await virsh('destroy', 'debian-1');
  });

  const monitor = async (command: object) =>
    JSON.parse(await virsh('qemu-monitor-command', 'debian-1', JSON.stringify(command))) as { return: unknown };
  const nodes = (await monitor({ execute: 'query-named-block-nodes' })).return as { 'node-name': string; drv: string; file: string }[];
  const disk = nodes.find((node) => node.drv === 'qcow2' && node.file.includes('debian-1'));
  t.ok(
    nodes.some((node) => node.drv === 'nbd'),
    'the backing store is the export',
  );

  // What qemu-io prints goes to the domain's log.
  const log = join(dir, 'cache', 'libvirt', 'qemu', 'log', 'debian-1.log');
  const readBlock = async (blockIndex: number) => {
    const offset = blockIndex * 4096;
    const read = `qemu-io ${disk?.['node-name']} "read -P ${blockByte(blockIndex)} ${offset} 4096"`;
    await monitor({ execute: 'human-monitor-command', arguments: { 'command-line': read } });
    const printed = await readFile(log, 'utf8');
    t.notMatch(printed, /read failed|verification failed/);
    t.match(printed, `read 4096/4096 bytes at offset ${offset}`);
  };
  await readBlock(3);
  await daemon.stop('SIGKILL');
  const reading = readBlock(1000);
  await host.serve();
  await reading;
});
