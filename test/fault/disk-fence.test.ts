/** Two of QEMU's block layers on one disk of one node: who was displaced stays stopped, through reconnects and restarts, until an operator says otherwise. */
import t, { type Test } from 'tap';
import { missing } from '../interop/serving.js';
import { until } from '../support/wait.js';
import { DiskHost } from './disk-host.js';
import { QemuIo } from './disk-qemu-io.js';

const skip = await missing('qemu-io', '--version');
const stopped = /Input\/output error/;
const host = skip === false ? await DiskHost.start(t, { image: Buffer.alloc(4096) }) : undefined;

/** A disk, and a client that has written to it. */
async function start(test: Test, name: string): Promise<{ host: DiskHost; first: QemuIo; next(): Promise<QemuIo> }> {
  if (host === undefined) throw new Error('the test is to be skipped');
  await host.disk('create', name, '--size', '8M');
  const next = () => QemuIo.attach(test, host, name);
  const first = await next();
  test.match(await first.do('write -P 0x11 0 64k'), /^wrote 65536/);
  return { host, first, next };
}

t.test('a client that reconnects after kill -9 of the daemon goes on, and so after a restart', { skip }, async (t) => {
  const { host, first } = await start(t, 'reconnect');
  await first.do('flush');
  await host.daemon.kill();
  const write = first.do('write -P 0x12 64k 64k');
  await host.daemon.start();
  t.match(await write, /^wrote 65536/, 'the write waited for the daemon');
  await host.restart();
  t.match(await first.do('write -P 0x13 128k 64k'), /^wrote/);
  t.match(await first.do('read -P 0x11 0 64k'), /^read 65536/);
  t.same((await host.status('reconnect')).fences, [], 'and nobody is fenced');
});

t.test('a second client that only reads displaces nobody', { skip }, async (t) => {
  const { host, first, next } = await start(t, 'reader');
  const reader = await next();
  t.match(await reader.do('read -P 0x11 0 64k'), /^read 65536/);
  t.match(await first.do('write -P 0x14 0 4k'), /^wrote/);
  t.match(await reader.do('read -P 0x14 0 4k'), /^read/);
  t.same((await host.status('reader')).fences, []);
});

t.test('a second client that writes stops the first for good, until "take"', { skip }, async (t) => {
  const { host, first, next } = await start(t, 'vm1');
  const second = await next();
  t.match(await second.do('write -P 0x22 0 4k'), /^wrote 4096/);
  t.match(await first.do('write -P 0x33 0 4k'), stopped, 'a write of the first');
  t.match(await first.do('write -z 0 4k'), stopped);
  t.match(await first.do('discard 0 4k'), stopped);
  t.match(await first.do('read 0 4k'), stopped, "nor does it read what may be another guest's");
  t.match(await second.do('read -P 0x22 0 4k'), /^read 4096/, 'the second is not bothered');

  const { fences } = await host.status('vm1');
  t.match(fences, [{ client: RegExp(`\\b${first.pid}\\b`), by: RegExp(`\\b${second.pid}\\b`) }], 'the status says who, and by whom');
  await until('so does the log', () => /another client writes to this disk[^\n]*/.test(host.daemon.stderr));

  // Its connection is a new one after each of these, its process the same.
  await host.crash();
  t.match(await second.do('write -P 0x23 4k 4k'), /^wrote/, 'the second goes on after kill -9');
  t.match(await first.do('write -P 0x33 0 4k'), stopped, 'the first is stopped after kill -9');
  await host.restart();
  t.match(await first.do('write -P 0x33 0 4k'), stopped, 'the first comes before the second after a restart, and is stopped');
  t.match(await second.do('write -P 0x24 8k 4k'), /^wrote/);
  await second.quit();
  t.match(await first.do('write -P 0x33 0 4k'), stopped, 'also when the second has gone');
  await host.restart();
  t.match(await first.do('write -P 0x33 0 4k'), stopped, 'and that is remembered');

  await host.disk('take', 'vm1');
  t.match(await first.do('write -P 0x44 12k 4k'), /^wrote 4096/, 'an operator lets it back');
  for (const [value, at] of [
    ['0x22', '0'],
    ['0x23', '4k'],
    ['0x24', '8k'],
    ['0x44', '12k'],
  ]) {
    t.match(await first.do(`read -P ${value} ${at} 4k`), /^read 4096/, `what was written at ${at}`);
  }
  t.same((await host.status('vm1')).fences, []);
});

t.test('a client that was stopped is succeeded by another process as by any newer one', { skip }, async (t) => {
  const { host, first, next } = await start(t, 'anew');
  const second = await next();
  await second.do('write -P 0x22 0 4k');
  await second.quit();
  await first.kill();
  const third = await next();
  t.match(await third.do('write -P 0x55 0 4k'), /^wrote/);
  t.match(await third.do('read -P 0x55 0 4k'), /^read/);
  await until('the third is the only one', async () => (await host.status('anew')).connections === 1);
});

t.test('with --multi-conn several write, and nobody is fenced', { skip }, async (t) => {
  if (host === undefined) throw new Error('the test is to be skipped');
  await host.disk('create', 'shared', '--size', '8M', '--multi-conn');
  const [one, other] = [await QemuIo.attach(t, host, 'shared'), await QemuIo.attach(t, host, 'shared')];
  for (const [client, value, seen] of [
    [one, '0x61', other],
    [other, '0x62', one],
    [one, '0x63', other],
  ] as const) {
    t.match(await client.do(`write -P ${value} 0 4k`), /^wrote/);
    await client.do('flush');
    t.match(await seen.do(`read -P ${value} 0 4k`), /^read/);
  }
  t.same((await host.status('shared')).fences, []);
});
