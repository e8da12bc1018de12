import { join } from 'node:path';
import t from 'tap';
import { type Program, startProgram, waitForListener } from '../../examples/demo/lifetime.js';
import { Qmp } from '../../examples/demo/qmp.js';
import { blockByte, createHost, examplesDir, type Host } from './host.js';

interface Machine {
  qemu: Program;
  qmp: Qmp;
}

/** The machine is paused before its first instruction (-S): the block layer is all that is looked at. */
async function startExample(host: Host, name: string): Promise<Machine> {
  const monitor = join(host.dir, `${name}.qmp`);
  const args = [join(examplesDir, 'qemu', name), '-S', '-qmp', `unix:${monitor},server=on,wait=off`, '-serial', 'none', '-monitor', 'none'];
  const qemu = startProgram(host.lifetime, 'bash', args, join(host.dir, `${name}.log`), { env: host.env });
  await waitForListener({ path: monitor }, qemu, 60_000);
  const qmp = await Qmp.connect(monitor);
  host.lifetime.onEnd(async () => qmp.close());
  return { qemu, qmp };
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

/** Reads a block of the guest's disk through all its layers, as a device would, and compares it. Resolves to what `qemu-io` prints. */
async function readBlock({ qemu, qmp }: Machine, blockIndex: number): Promise<string | undefined> {
  const devices = ((await qmp.execute('query-block')) as BlockDevice[]).filter((device) => device.inserted);
  const offset = blockIndex * 4096;
  const read = `qemu-io -d ${devices[0]?.qdev} "read -P ${blockByte(blockIndex)} ${offset} 4096"`;
  // It prints on QEMU's own standard output.
  const printed = qemu.waitForLine(new RegExp(`.*failed.*|^read 4096/4096 bytes at offset ${offset}$`));
  await qmp.execute('human-monitor-command', { 'command-line': read });
  return (await printed)?.[0];
}

async function chain({ qmp }: Machine): Promise<string[]> {
  const devices = (await qmp.execute('query-block')) as BlockDevice[];
  const formats: string[] = [];
  for (let image = devices.find((device) => device.inserted)?.inserted?.image; image; image = image['backing-image'])
    formats.push(image.format);
  return formats;
}

t.test('overlay: a qcow2 whose header names the export', async (t) => {
  const host = await createHost(t);
  await host.serve();
  const machine = await startExample(host, 'overlay');
  t.same(await chain(machine), ['qcow2', 'raw']);
  t.match(await readBlock(machine, 5), /^read 4096/);
});

for (const name of ['reconnect', 'blockdev']) {
  t.test(`${name}: rides over kill -9 and restart of the daemon`, async (t) => {
    const host = await createHost(t);
    const daemon = await host.serve();
    const machine = await startExample(host, name);
    t.equal((await chain(machine))[0], 'qcow2');
    t.match(await readBlock(machine, 7), /^read 4096/);

    await daemon.stop('SIGKILL');
    const reading = readBlock(machine, 9);
    await host.serve();
    t.match(await reading, /^read 4096/, 'the read waited for the daemon');
  });
}
