/**
 * Broke: `libvirt attach --config` gave a domain a disk that another running domain uses, so that its next start displaced that guest.
 * `disk rm` removed a disk that a domain names without a question.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { domainXml } from '../libvirt/domain.js';
import { Place } from '../libvirt/place.js';
import { noSystemLibvirt, startSystemLibvirt } from '../libvirt/system-libvirtd.js';

const skip = await noSystemLibvirt();

t.test('what domains name is neither given to another one nor removed without a question', { skip }, async (t) => {
  const place = await Place.create(t);
  await place.serve({ socketMode: '0660', socketGroup: 'libvirt-qemu' });
  const { uri, virsh } = await startSystemLibvirt(place);
  const copse = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await place.copse(...args);
    t.equal(exitCode, 0, `copse ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const refused = async (code: string, exitCode: number, ...args: string[]) => {
    const result = await place.copse(...args, '-c', uri, '--json');
    t.match({ exitCode: result.exitCode, error: JSON.parse(result.stdout).error }, { exitCode, error: { code } }, args.join(' '));
    return JSON.parse(result.stdout).error.message as string;
  };
  for (const name of ['web', 'db']) {
    await copse('disk', 'create', name, '--image', 'guest');
    const path = join(place.dir, `${name}.xml`);
    const disks = await copse('libvirt', 'xml', name);
    await writeFile(path, domainXml({ name, disks, consolePath: join(place.dir, `${name}.log`) }));
    await virsh('define', path);
  }
  await virsh('start', 'web', '--paused');

  await refused('ERR_DISK_IN_USE', 5, 'libvirt', 'attach', 'db', 'web', '--config');
  await refused('ERR_DISK_IN_USE', 5, 'libvirt', 'attach', 'db', 'web');
  t.notMatch(await virsh('dumpxml', 'db', '--inactive'), /name='web'/, 'the configuration is as it was');
  await copse('disk', 'create', 'spare', '--size', '1M');
  await copse('libvirt', 'attach', 'db', 'spare', '--config', '-c', uri);
  await copse('libvirt', 'attach', 'db', 'guest', '--config', '-c', uri);

  const text = await refused('ERR_EXPORT_NAMED', 5, 'disk', 'rm', 'spare');
  t.match(text, /spare is a disk of db \(vdb\): .*--yes/);
  await refused('ERR_EXPORT_NAMED', 5, 'disk', 'rename', 'spare', 'other');
  await refused('ERR_EXPORT_NAMED', 5, 'image', 'rm', 'guest');
  await refused('ERR_EXPORT_NAMED', 5, 'image', 'rename', 'guest', 'other');
  t.match(await copse('disk', 'ls'), /spare/);
  await copse('disk', 'rename', 'spare', 'other', '--yes', '-c', uri);
  // No domain names it any more.
  await copse('disk', 'rm', 'other', '-c', uri);
  const running = await refused('ERR_EXPORT_NAMED', 5, 'disk', 'rm', 'web');
  t.match(running, /web \(vda, runs\)/);
  await refused('ERR_DISK_IN_USE', 5, 'disk', 'rm', 'web', '--yes');
  await virsh('destroy', 'web');
  await virsh('undefine', 'db');
  await copse('disk', 'rm', 'db', '-c', uri);
});

t.test('where no libvirt answers nothing is asked', async (t) => {
  const place = await Place.create(t);
  await place.serve({ socketMode: '0600' });
  await place.copse('disk', 'create', 'db', '--size', '1M');
  const named = await place.copse('disk', 'rm', 'db', '-c', `qemu+unix:///system?socket=${place.dir}/none`, '--json');
  t.equal(JSON.parse(named.stdout).error.code, 'ERR_LIBVIRT', 'but of one that was named the answer is wanted');
  const { exitCode, stdout, stderr } = await place.copse('disk', 'rm', 'db');
  t.match({ exitCode, stdout, stderr }, { exitCode: 0, stdout: /^removed db/, stderr: '' });
});
