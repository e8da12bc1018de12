/** `copse disk import`: the real qemu-img, over the real server. */
import { chmodSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { CopseError } from '../../src/base/error.js';
import { missing } from '../interop/serving.js';
import { content, copying, diskBytes, MiB, qemuImg } from './disk-copy.js';
import { run, start } from './run.js';

const skip = await missing('qemu-img', '--version');

t.test('import of qcow2, whatever the name', { skip }, async (t) => {
  const { disk, control, folder } = await copying(t);
  const bytes = content(diskBytes);
  writeFileSync(join(folder, 'x.raw'), bytes);
  const file = join(folder, 'nbd:x.data');
  await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', join(folder, 'x.raw'), file);
  const imported = await disk('import', 'vm/1.b', file, '--handover', 'explicit');
  t.equal(imported.exitCode, 0, imported.stderr);
  t.match(imported.stdout, /^name +vm\/1\.b$/m);
  t.match(imported.stdout, /^attach +nbd\+unix:\/\/\/vm\/1\.b\?socket=/m);
  t.match(imported.stderr, /^import vm\/1\.b: .* of 24 MiB/);
  t.same(control.disks.calls, [['create', { name: 'vm/1.b', sizeBytes: diskBytes, handover: 'explicit' }]], 'and it stays');
  const { path, file: device } = control.fileOf('vm/1.b');
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
  t.ok(control.disks.known.has('a'), 'what was there before stays');
  t.notOk(control.disks.known.has('c'));
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
    stderr: /child is not the whole image: it has the backing file "base".*--backing FILE=IMAGE/,
  });
  t.match(await disk('import', 'x', at('split')), { exitCode: 1, stderr: /it has the data file ".*data"/ });
  t.match(await disk('import', 'x', at('flat.vmdk')), { exitCode: 1, stderr: /it has the extent ".*flat-flat\.vmdk"/ });
  t.same(control.disks.calls, []);
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
  control.disks.removeFailures.push(new CopseError('ERR_DISK_IN_USE', 'a client is attached'));
  const full = await disk('import', 'a', file, '--json');
  t.equal(full.exitCode, 7);
  t.match(JSON.parse(full.stdout), { error: { code: 'ENOSPC', message: /import of .*No space left on device/ } });
  t.same(
    control.disks.calls.slice(1),
    [
      ['remove', 'a'],
      ['remove', 'a'],
    ],
    'asked again when the daemon still saw the client',
  );
  t.notOk(control.disks.known.has('a'));

  control.onCreate = (created) => {
    created.file.flushFailure = new CopseError('ENOSPC', 'full');
  };
  const unflushed = await disk('import', 'b', file, '--json');
  t.match(JSON.parse(unflushed.stdout), { error: { code: 'ENOSPC' } }, 'qemu-img itself says nothing of it');
  t.notOk(control.disks.known.has('b'));

  control.disks.removeFailures.push(new CopseError('EIO', 'the disk below is broken'));
  const left = await disk('import', 'c', file);
  t.match(left.stderr, /^copse: disk c stays, filled only in part \(the disk below is broken\): remove it by "copse disk rm c"$/m);

  t.match(await disk('import', 'd', join(folder, 'none')), { exitCode: 1, stderr: /none: qemu-img: .*No such file/ });
  truncateSync(file, 0);
  t.match(await disk('import', 'd', file), { exitCode: 2, stderr: /x\.raw is empty/ });
});

t.test('^C ends qemu-img and cleans up', { skip }, async (t) => {
  const { control, folder, stateDir } = await copying(t);
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
    control.disks.calls.map(([what]) => what),
    ['create', 'remove'],
  );
});

t.test('an old qemu-img', { skip }, async (t) => {
  const { control, folder, stateDir } = await copying(t);
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
});
