/** `copse disk export`: the real qemu-img, over the real server. */
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { missing } from '../interop/serving.js';
import { until } from '../support/wait.js';
import { copying, diskBytes, MiB, qemuImg } from './disk-copy.js';
import { run, start } from './run.js';

const skip = await missing('qemu-img', '--version');

t.test('export to raw and qcow2', { skip }, async (t) => {
  const { disk, folder, filled } = await copying(t);
  const name = 'vm/1 #a?%41';
  const bytes = await filled(name);
  const raw = join(folder, 'x.raw');
  const first = await disk('export', name, raw);
  t.equal(first.exitCode, 0, first.stderr);
  t.match(first.stdout, /x\.raw: vm\/1 #a\?%41, 24 MiB as raw, \S+ [KM]iB on disk$/);
  t.match(first.stderr, /^export vm\/1 #a\?%41: .* of 24 MiB/);
  t.ok(readFileSync(raw).equals(bytes));
  t.ok(statSync(raw).blocks * 512 < 4 * MiB, 'zeros take no space');

  const qcow2 = join(folder, 'x.QCOW2');
  const json = await disk('export', name, qcow2, '--json');
  t.match(JSON.parse(json.stdout), { name, file: qcow2, format: 'qcow2', sizeBytes: diskBytes });
  t.equal(json.stderr, '');
  await qemuImg('compare', '-f', 'raw', '-F', 'qcow2', raw, qcow2);
  t.same(readdirSync(folder).sort(), ['x.QCOW2', 'x.raw']);
});

t.test('a file that is there is replaced by --force alone, once the new one is whole', { skip }, async (t) => {
  const { disk, control, folder, filled } = await copying(t);
  const bytes = await filled('a');
  const file = join(folder, 'old.img');
  writeFileSync(file, 'old');
  t.match(await disk('export', 'a', file), { exitCode: 5, stderr: /old\.img: it exists: .*--force/ });

  control.fileOf('a').fault.fail('EIO');
  const failed = await disk('export', 'a', file, '--force', '--json');
  t.equal(failed.exitCode, 1);
  t.match(JSON.parse(failed.stdout), { error: { code: 'ERR_QEMU_IMG', message: /^export of a: qemu-img: .*Input\/output error/ } });
  t.equal(readFileSync(file, 'utf8'), 'old');

  control.fileOf('a').fault.fail(undefined);
  symlinkSync('old.img', join(folder, 'link.img'));
  t.match(await disk('export', 'a', join(folder, 'link.img'), '--force'), { exitCode: 0 });
  t.ok(readFileSync(file).equals(bytes), 'behind the link');
  t.same(readdirSync(folder).sort(), ['link.img', 'old.img']);

  t.match(await disk('export', 'a', '/dev/null', '--format', 'raw', '--force'), {
    exitCode: 7,
    stderr: /\/dev\/null: it is not a regular file/,
  });
  t.match(await disk('export', 'a', join(folder, 'none/x.raw')), { exitCode: 7, stderr: /none\/x\.raw can't be written: ENOENT/ });
});

t.test('a disk that can not be exported', { skip }, async (t) => {
  const { disk, control, folder, filled } = await copying(t);
  const bytes = await filled('a');
  const isLetGo = (): boolean => control.fileOf('a').served.metrics.connections === 0;
  await until('who filled it lets go of the disk', isLetGo);
  const status = await control.disks.status('a');
  const file = join(folder, 'a.raw');
  control.disks.known.set('a', { ...status, connections: 1, remoteConnections: ['host-b'] });
  t.match(await disk('export', 'a', file), { exitCode: 5, stderr: /a is in use \(1 client, clients on host-b\).*--live/ });
  t.match(await disk('export', 'a', file, '--live'), { exitCode: 0 });
  t.ok(readFileSync(file).equals(bytes));

  control.disks.known.set('a', { ...status, place: 'unreachable', owner: 'host-z', message: 'host-z does not answer: start it' });
  t.match(await disk('export', 'a', file), { exitCode: 5, stderr: 'copse: host-z does not answer: start it' });
  t.match(await disk('export', 'none', file), { exitCode: 4 });

  await until('qemu-img lets go of the disk', isLetGo);
  control.disks.known.set('a', status);
  const listener = control.listeners;
  control.listeners = ['nbd+unix:///?socket=/nonexistent/s', 'descriptor 3'];
  t.match(await disk('export', 'a', join(folder, 'b.raw')), {
    exitCode: 5,
    stderr: /can reach none of the daemon's listeners \(nbd\+unix:/,
  });
  control.listeners = [...control.listeners, ...listener];
  t.match(await disk('export', 'a', join(folder, 'b.raw')), { exitCode: 0 }, 'the one that can be reached');
});

t.test('^C ends qemu-img and cleans up', { skip }, async (t) => {
  const { control, folder, filled, stateDir } = await copying(t);
  await filled('a');
  control.fileOf('a').fault.hold();
  const exporting = start(['disk', 'export', 'a', 'a.raw', '--state', stateDir], { cwd: folder });
  await control.fileOf('a').fault.waiting(1);
  exporting.kill('SIGINT');
  t.equal((await exporting).exitCode, 130);
  control.fileOf('a').fault.release();
  await until('qemu-img lets go of the disk', () => control.fileOf('a').served.metrics.connections === 0);
  t.same(readdirSync(folder), []);
});

t.test('qemu-img is missing', { skip }, async (t) => {
  const { folder, filled, stateDir } = await copying(t);
  await filled('a');
  const none = await run(['disk', 'export', 'a', join(folder, 'a.raw'), '--state', stateDir], { env: { PATH: folder } });
  t.match(none, { exitCode: 1, stderr: /export of a: the program qemu-img is missing: install qemu-utils/ });
});
