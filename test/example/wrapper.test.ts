import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { examplesDir } from './host.js';

const wrapper = join(examplesDir, 'libvirt', 'qemu-copse');

/** Runs the wrapper over an emulator that prints its arguments as JSON. */
async function argumentsOf(t: Test, args: string[], env: Record<string, string> = {}, conf = ''): Promise<unknown> {
  const dir = t.testdir({ 'qemu.conf': conf });
  const emulator = join(dir, 'emulator');
  await writeFile(emulator, `#!${process.execPath}\nconsole.log(JSON.stringify(process.argv.slice(2)))\n`);
  await chmod(emulator, 0o755);
  const settings = { COPSE_QEMU: emulator, COPSE_QEMU_CONF: join(dir, 'qemu.conf'), ...env };
  return JSON.parse((await execa(wrapper, args, { env: settings })).stdout);
}

const nbd = '{"driver":"nbd","server":{"type":"unix","path":"/run/copse/nbd.sock"},"export":"x","node-name":"libvirt-2-storage"}';
const nbdWith = (delay: number) => nbd.replace('"nbd",', `"nbd","reconnect-delay":${delay},`);

t.test('adds the delay to NBD block devices', async (t) => {
  t.same(await argumentsOf(t, ['-m', '512', '-blockdev', nbd, '-blockdev', nbd]), [
    '-m',
    '512',
    '-blockdev',
    nbdWith(60),
    '-blockdev',
    nbdWith(60),
  ]);
});

t.test('leaves everything else as it is', async (t) => {
  const own = nbdWith(5);
  const file = '{"driver":"file","filename":"/x \\"nbd\\"","node-name":"libvirt-1-storage"}';
  const args = ['-name', 'a b\nc', '', '*', '-blockdev', own, '-blockdev', file, '-object', nbd, '-blockdev'];
  t.same(await argumentsOf(t, args), args);
  t.same(await argumentsOf(t, []), []);
});

t.test('takes the delay from the configuration, and before that from the environment', async (t) => {
  const conf = 'COPSE_RECONNECT_DELAY=120\n';
  t.same(await argumentsOf(t, ['-blockdev', nbd], {}, conf), ['-blockdev', nbdWith(120)]);
  t.same(await argumentsOf(t, ['-blockdev', nbd], { COPSE_RECONNECT_DELAY: '7' }, conf), ['-blockdev', nbdWith(7)]);
});

t.test('refuses a delay that is no number', async (t) => {
  const { exitCode, stderr } = await execa(wrapper, [], { env: { COPSE_RECONNECT_DELAY: '1m' }, reject: false });
  t.equal(exitCode, 1);
  t.match(stderr, /COPSE_RECONNECT_DELAY/);
});
