/** `copse disk export` and `import`: the real qemu-img, over the real server. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { CopseError } from '../../src/base/error.js';
import { poll } from '../cluster/until.js';
import { missing } from '../interop/serving.js';
import { FileDisks } from './file-disks.js';
import { fakeDaemon, run, start } from './run.js';

const skip = await missing('qemu-img', '--version');
const MiB = 1024 * 1024;
const diskBytes = 24 * MiB;

/** Data at the beginning, in the middle and at the end, and holes between. */
function content(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (const offset of [0, 8 * MiB, sizeBytes - 300_000]) {
    for (let index = offset; index < offset + 300_000; index += 1) bytes[index] = (index * 31 + (index >> 9)) & 0xff;
  }
  return bytes;
}

async function copying(test: Test) {
  const control = await FileDisks.start(test);
  const daemon = await fakeDaemon(test, control);
  const folder = test.testdir();
  const disk = (...args: string[]) => daemon.cli('disk', ...args);
  /** A disk that is filled by the back door. */
  const filled = async (name: string): Promise<Buffer> => {
    await control.createDisk({ name, sizeBytes: diskBytes });
    const bytes = content(diskBytes);
    await control.fileOf(name).file.write(bytes, 0);
    control.diskCalls.length = 0;
    return bytes;
  };
  return { ...daemon, control, folder, disk, filled };
}

const qemuImg = (...args: string[]) => execa('qemu-img', args, { env: { LC_ALL: 'C' } });

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
  t.match(await disk('export', 'a', file), { exitCode: 5, stderr: /old\.img: it is there already: .*--force/ });

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
    exitCode: 1,
    stderr: /\/dev\/null: it is no regular file/,
  });
  t.match(await disk('export', 'a', join(folder, 'none/x.raw')), { exitCode: 1, stderr: /none\/x\.raw can't be written: ENOENT/ });
});

t.test('a disk that can not be exported', { skip }, async (t) => {
  const { disk, control, folder, filled } = await copying(t);
  const bytes = await filled('a');
  const status = await control.diskStatus('a');
  const file = join(folder, 'a.raw');
  control.disks.set('a', { ...status, connections: 1, remoteConnections: ['host-b'] });
  t.match(await disk('export', 'a', file), { exitCode: 5, stderr: /a is in use \(1 client, clients on host-b\).*--live/ });
  t.match(await disk('export', 'a', file, '--live'), { exitCode: 0 });
  t.ok(readFileSync(file).equals(bytes));

  control.disks.set('a', { ...status, place: 'unreachable', owner: 'host-z', message: 'host-z does not answer: start it' });
  t.match(await disk('export', 'a', file), { exitCode: 5, stderr: 'copse: host-z does not answer: start it' });
  t.match(await disk('export', 'none', file), { exitCode: 4 });

  control.disks.set('a', status);
  const listener = control.listeners;
  control.listeners = ['nbd+unix:///?socket=/nonexistent/s', 'descriptor 3'];
  t.match(await disk('export', 'a', join(folder, 'b.raw')), { exitCode: 1, stderr: /reaches none of the daemon's listeners \(nbd\+unix:/ });
  control.listeners = [...control.listeners, ...listener];
  t.match(await disk('export', 'a', join(folder, 'b.raw')), { exitCode: 0 }, 'the one that can be reached');
});

t.test('import of qcow2, whatever the name', { skip }, async (t) => {
  const { disk, control, folder } = await copying(t);
  const bytes = content(diskBytes);
  writeFileSync(join(folder, 'x.raw'), bytes);
  const file = join(folder, 'nbd:x.data');
  await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', join(folder, 'x.raw'), file);
  const imported = await disk('import', 'vm/1 #b', file, '--handover', 'explicit');
  t.equal(imported.exitCode, 0, imported.stderr);
  t.match(imported.stdout, /^name +vm\/1 #b$/m);
  t.match(imported.stdout, /^attach +nbd\+unix:\/\/\/vm\/1%20%23b\?socket=/m);
  t.match(imported.stderr, /^import vm\/1 #b: .* of 24 MiB/);
  t.same(control.diskCalls, [['create', { name: 'vm/1 #b', sizeBytes: diskBytes, handover: 'explicit' }]], 'and it stays');
  const { path, file: device } = control.fileOf('vm/1 #b');
  t.ok(readFileSync(path).equals(bytes));
  t.ok(device.flushCount > 0);
  t.ok(statSync(path).blocks * 512 < 4 * MiB, 'zeros are not written');
});

t.test('import of a raw file of odd size into a larger disk', { skip }, async (t) => {
  const { disk, control, folder } = await copying(t);
  const bytes = content(20 * MiB + 1536);
  const file = join(folder, 'x');
  writeFileSync(file, bytes);
  const json = await disk('import', 'a', file, '--json');
  t.equal(json.exitCode, 0, json.stderr);
  t.match(JSON.parse(json.stdout), { name: 'a', sizeBytes: 20 * MiB + 4096 });
  t.ok(readFileSync(control.fileOf('a').path).subarray(0, bytes.length).equals(bytes));

  t.match(await disk('import', 'b', file, '--size', '32M'), { exitCode: 0 });
  const larger = readFileSync(control.fileOf('b').path);
  t.equal(larger.length, 32 * MiB);
  t.ok(larger.subarray(0, bytes.length).equals(bytes));
  t.ok(larger.subarray(bytes.length).every((byte) => byte === 0));

  t.match(await disk('import', 'c', file, '--size', '20M'), {
    exitCode: 2,
    stderr: /--size 20 MiB is less than .* 20\.0 MiB \(20973056 bytes\)/,
  });
  t.match(await disk('import', 'a', file), { exitCode: 5, stderr: /disk a exists/ });
  t.ok(control.disks.has('a'), 'what was there before stays');
  t.notOk(control.disks.has('c'));
});

t.test('a file that would have others read, too, is refused', { skip }, async (t) => {
  const { disk, control, folder } = await copying(t);
  const at = (name: string): string => join(folder, name);
  await qemuImg('create', '-f', 'qcow2', at('base'), '4M');
  await qemuImg('create', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', at('child'));
  await qemuImg('create', '-f', 'qcow2', '-o', `data_file=${at('data')}`, at('split'), '4M');
  await qemuImg('create', '-f', 'vmdk', '-o', 'subformat=monolithicFlat', at('flat.vmdk'), '4M');
  await qemuImg('create', '-f', 'vmdk', at('sparse.vmdk'), '4M');
  t.match(await disk('import', 'x', at('child')), {
    exitCode: 1,
    stderr: /child is not all there is: it has the backing file "base".*--backing FILE=IMAGE/,
  });
  t.match(await disk('import', 'x', at('split')), { exitCode: 1, stderr: /it has the data file ".*data"/ });
  t.match(await disk('import', 'x', at('flat.vmdk')), { exitCode: 1, stderr: /it has the extent ".*flat-flat\.vmdk"/ });
  t.same(control.diskCalls, []);
  t.match(await disk('import', 'x', at('sparse.vmdk')), { exitCode: 0 });
  t.match(await disk('import', 'y', at('child'), '--format', 'raw'), { exitCode: 0 }, 'as a raw file it is one');
  t.ok(
    readFileSync(control.fileOf('y').path)
      .subarray(0, statSync(at('child')).size)
      .equals(readFileSync(at('child'))),
  );
});

t.test('an import that fails leaves no disk', { skip }, async (t) => {
  const { disk, control, folder } = await copying(t);
  const file = join(folder, 'x.raw');
  writeFileSync(file, content(diskBytes));
  control.onCreate = ({ fault }) => fault.fail('ENOSPC');
  control.removeFailures.push(new CopseError('ERR_DISK_IN_USE', 'a client is attached'));
  const full = await disk('import', 'a', file, '--json');
  t.equal(full.exitCode, 7);
  t.match(JSON.parse(full.stdout), { error: { code: 'ENOSPC', message: /import of .*No space left on device/ } });
  t.same(
    control.diskCalls.slice(1),
    [
      ['remove', 'a'],
      ['remove', 'a'],
    ],
    'asked again when the daemon still saw the client',
  );
  t.notOk(control.disks.has('a'));

  control.onCreate = (created) => {
    created.file.flushFailure = new CopseError('ENOSPC', 'full');
  };
  const unflushed = await disk('import', 'b', file, '--json');
  t.match(JSON.parse(unflushed.stdout), { error: { code: 'ENOSPC' } }, 'qemu-img itself says nothing of it');
  t.notOk(control.disks.has('b'));

  control.removeFailures.push(new CopseError('EIO', 'the disk below is broken'));
  const left = await disk('import', 'c', file);
  t.match(left.stderr, /^copse: c is left, filled in part \(the disk below is broken\): remove it by "copse disk rm c"$/m);

  t.match(await disk('import', 'd', join(folder, 'none')), { exitCode: 1, stderr: /none: qemu-img: .*No such file/ });
  truncateSync(file, 0);
  t.match(await disk('import', 'd', file), { exitCode: 2, stderr: /x\.raw is empty/ });
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
  await poll('qemu-img lets go of the disk', () => control.fileOf('a').served.metrics.connections === 0);
  t.same(readdirSync(folder), []);

  writeFileSync(join(folder, 'x.raw'), content(diskBytes));
  let created = (): void => {};
  const isCreated = new Promise<void>((resolve) => {
    created = resolve;
  });
  control.onCreate = ({ fault }) => {
    fault.hold();
    created();
  };
  const importing = start(['disk', 'import', 'b', 'x.raw', '--state', stateDir], { cwd: folder });
  await isCreated;
  await control.fileOf('b').fault.waiting(1);
  importing.kill('SIGTERM');
  const { exitCode, stdout } = await importing;
  t.same([exitCode, String(stdout)], [143, '']);
  t.same(
    control.diskCalls.map(([what]) => what),
    ['create', 'remove'],
  );
});

t.test('qemu-img is missing, or old', { skip }, async (t) => {
  const { control, folder, filled, stateDir } = await copying(t);
  await filled('a');
  const none = await run(['disk', 'export', 'a', join(folder, 'a.raw'), '--state', stateDir], { env: { PATH: folder } });
  t.match(none, { exitCode: 1, stderr: /export of a: the program qemu-img is missing: install qemu-utils/ });

  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const real = (await execa('which', ['qemu-img'])).stdout;
  const script = `#!/bin/sh
case " $* " in
  *" --help "*) ${real} --help | sed 's/--target-is-zero//' ;;
  *--target-is-zero*) echo 'qemu-img: unknown option' >&2; exit 1 ;;
  *) exec ${real} "$@" ;;
esac
`;
  writeFileSync(join(bin, 'qemu-img'), script);
  chmodSync(join(bin, 'qemu-img'), 0o755);
  const file = join(folder, 'x.raw');
  writeFileSync(file, content(diskBytes));
  const path = `${bin}:${process.env['PATH']}`;
  const old = await run(['disk', 'import', 'b', file, '--state', stateDir], { env: { PATH: path } });
  t.equal(old.exitCode, 0, old.stderr);
  t.ok(readFileSync(control.fileOf('b').path).equals(readFileSync(file)));
  t.notOk(existsSync(join(folder, 'a.raw')));
});
