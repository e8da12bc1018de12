import { join } from 'node:path';
import t from 'tap';
import { startProgram, waitForListener } from '../../examples/demo/lifetime.js';
import { Qmp } from '../../examples/demo/qmp.js';
import { createHost, examplesDir, type Host } from './host.js';

/** The machine is paused before its first instruction (-S): the block layer is all that is looked at. */
async function startExample(host: Host, name: string): Promise<Qmp> {
  const monitor = join(host.dir, `${name}.qmp`);
  const args = [join(examplesDir, 'qemu', name), '-S', '-qmp', `unix:${monitor},server=on,wait=off`, '-serial', 'none', '-monitor', 'none'];
  const qemu = startProgram(host.lifetime, 'bash', args, join(host.dir, `${name}.log`), { env: host.env });
  await waitForListener({ path: monitor }, qemu, 20_000);
  const qmp = await Qmp.connect(monitor);
  host.lifetime.onEnd(async () => qmp.close());
  return qmp;
}

interface BlockImage {
  filename: string;
  format: string;
  'backing-image'?: BlockImage;
}

interface BlockDevice {
  qdev?: string;
  inserted?: { image: BlockImage };
}

/** Reads 4 KiB of the guest's disk through all its layers, as a device would. Resolves to what `qemu-io` says. */
async function readBlock(qmp: Qmp, blockIndex: number): Promise<string> {
  const devices = ((await qmp.execute('query-block')) as BlockDevice[]).filter((device) => device.inserted);
  const read = `qemu-io -d ${devices[0]?.qdev} "read -P ${1 + blockIndex} ${blockIndex * 4096} 1"`;
  return String(await qmp.execute('human-monitor-command', { 'command-line': read }));
}

async function chain(qmp: Qmp): Promise<string[]> {
  const devices = (await qmp.execute('query-block')) as BlockDevice[];
  const formats: string[] = [];
  for (let image = devices.find((device) => device.inserted)?.inserted?.image; image; image = image['backing-image'])
    formats.push(image.format);
  return formats;
}

t.test('overlay: a qcow2 whose header names the export', async (t) => {
  const host = await createHost(t);
  await host.serve();
  const qmp = await startExample(host, 'overlay');
  t.same(await chain(qmp), ['qcow2', 'raw']);
  t.match(await readBlock(qmp, 5), /^read 1\/1 bytes/);
});

for (const name of ['reconnect', 'blockdev']) {
  t.test(`${name}: rides over kill -9 and restart of the daemon`, async (t) => {
    const host = await createHost(t);
    const daemon = await host.serve();
    const qmp = await startExample(host, name);
    t.equal((await chain(qmp))[0], 'qcow2');
    t.match(await readBlock(qmp, 7), /^read 1\/1 bytes/);

    await daemon.stop('SIGKILL');
    const reading = readBlock(qmp, 9);
    await host.serve();
    t.match(await reading, /^read 1\/1 bytes/, 'the read waited for the daemon');
  });
}
