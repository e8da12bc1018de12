/** The example of a VM on a disk: paused before its first instruction, its block layer writes and reads, over kill -9 and restart of the daemon. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import t from 'tap';
import { startProgram, waitForListener } from '../../examples/demo/lifetime.js';
import { Qmp } from '../../examples/demo/qmp.js';
import { blockByte, createHost, examplesDir } from './host.js';

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

t.test('disk: writes stay, over kill -9 and restart of the daemon and the end of the VM', async (t) => {
  const host = await createHost(t);
  let daemon = await host.serve();
  await execa(process.execPath, [command, 'disk', 'create', 'vm1', '--image', host.exportName, '--state', join(host.dir, 'state')]);

  const start = async (name: string) => {
    const monitor = join(host.dir, `${name}.qmp`);
    const args = [join(examplesDir, 'qemu', 'disk'), '-S', '-qmp', `unix:${monitor},server=on,wait=off`];
    args.push('-serial', 'none', '-monitor', 'none');
    const qemu = startProgram(host.lifetime, 'bash', args, join(host.dir, `${name}.log`), { env: host.env });
    await waitForListener({ path: monitor }, qemu, 60_000);
    const qmp = await Qmp.connect(monitor);
    host.lifetime.onEnd(async () => qmp.close());
    const [device] = ((await qmp.execute('query-block')) as { qdev?: string; inserted?: unknown }[]).filter(({ inserted }) => inserted);
    /** What qemu-io says, as the device's user: it prints on QEMU's own standard output, and what it refuses in its answer. */
    const io = async (text: string): Promise<string | undefined> => {
      const printed = qemu.waitForLine(/.*failed.*|^(read|wrote|discard) .*/);
      const refused = qmp.execute('human-monitor-command', { 'command-line': `qemu-io -d ${device?.qdev} "${text}"` });
      return await Promise.race([
        printed.then((match) => match?.[0]),
        refused.then((said) => (said === '' ? printed.then((match) => match?.[0]) : String(said))),
      ]);
    };
    const flush = () => qmp.execute('human-monitor-command', { 'command-line': `qemu-io -d ${device?.qdev} flush` });
    return { qemu, io, flush };
  };

  const first = await start('first');
  t.match(await first.io(`read -P ${blockByte(5)} 20480 4096`), /^read 4096/, 'the image shows through');
  t.match(await first.io('write -f -P 0xaa 20480 4096'), /^wrote 4096/);
  await daemon.stop('SIGKILL');
  const writing = first.io('write -f -P 0xab 24576 4096');
  daemon = await host.serve();
  t.match(await writing, /^wrote 4096/, 'the write waited for the daemon');
  t.match(await first.io('discard 40960 4096'), /^discard 4096/);
  await first.flush();
  await first.qemu.stop('SIGKILL');

  const second = await start('second');
  t.match(await second.io('read -P 0xaa 20480 4096'), /^read 4096/);
  t.match(await second.io('read -P 0xab 24576 4096'), /^read 4096/);
  t.match(await second.io('read -P 0 40960 4096'), /^read 4096/, 'what was discarded is zeros');
  t.match(await second.io(`read -P ${blockByte(9)} 36864 4096`), /^read 4096/);
  await daemon.stop();
});
