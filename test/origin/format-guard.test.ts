import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { guardLayers } from '../../src/origin/format/guard/guard.js';
import type { FormatLayer } from '../../src/origin/format/layer.js';
import { OriginError } from '../../src/origin/origin.js';
import { containerOf, makeImage, qemuImg, shortDirectory, writeContent } from './format-fixture.js';

async function layerOf(directory: string, path: string, format: string, backing?: FormatLayer['backing']): Promise<FormatLayer> {
  return { container: await containerOf(directory, path), format, backing };
}

/** Refused with ERR_FORMAT, and the message says what the image names. */
async function refuses(t: Test, layer: FormatLayer, named: string, what: string): Promise<void> {
  try {
    await guardLayers(layer);
    t.fail(`${what}: was let through`);
  } catch (error) {
    t.equal(error instanceof OriginError ? error.code : error, 'ERR_FORMAT', what);
    t.ok(error instanceof Error && error.message.includes(named), `${what}: the message names ${named}: ${String(error)}`);
  }
}

/** Writes bytes into an image. */
async function patch(path: string, offset: number, bytes: Buffer): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offset).finally(() => file.close());
}

t.test('qcow2: backing files that nobody mapped', async (t) => {
  const directory = await shortDirectory(t);
  for (const [name, format] of [
    ['/etc/hostname', 'raw'],
    ['json:{"driver":"file","filename":"/etc/hostname"}', 'raw'],
    ['nbd://192.0.2.1/secret', 'raw'],
    ['base.raw', 'raw'],
  ] as const) {
    for (const compat of ['compat=0.10', 'compat=1.1']) {
      const path = join(directory, 'backed.qcow2');
      await qemuImg('create', '-q', '-u', '-f', 'qcow2', '-o', compat, '-b', name, '-F', format, path, '8M');
      await refuses(t, await layerOf(directory, path, 'qcow2'), name.startsWith('json') ? 'json:' : name, `${compat} ${name}`);
      const other = await layerOf(directory, '/etc/hostname', 'raw');
      await refuses(
        t,
        await layerOf(directory, path, 'qcow2', { 'other.raw': other }),
        name.startsWith('json') ? 'json:' : 'other.raw',
        `${compat} ${name}, another mapped`,
      );
      if (name.startsWith('json:'))
        await refuses(t, await layerOf(directory, path, 'qcow2', { [name]: other }), 'json:', 'json: even if mapped');
    }
  }
});

t.test('a name such as __proto__ is not taken for a mapping', async (t) => {
  const directory = await shortDirectory(t);
  const path = join(directory, 'backed.qcow2');
  await qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', '__proto__', '-F', 'raw', path, '8M');
  await refuses(t, await layerOf(directory, path, 'qcow2', {}), '__proto__', 'a property of every object');
});

t.test('qcow2: data file, encryption, nonsense', async (t) => {
  const directory = await shortDirectory(t);
  const data = join(directory, 'outside.raw');
  const path = join(directory, 'data.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', `data_file=${data},data_file_raw=on`, path, '8M');
  await refuses(t, await layerOf(directory, path, 'qcow2'), data, 'external data file');

  const encrypted = join(directory, 'encrypted.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', encrypted, '8M');
  await patch(encrypted, 32, Buffer.from([0, 0, 0, 2]));
  await refuses(t, await layerOf(directory, encrypted, 'qcow2'), 'encrypted', 'LUKS inside');

  await refuses(t, await layerOf(directory, '/etc/hostname', 'qcow2'), 'qcow', 'no header at all');
  const long = join(directory, 'long.qcow2');
  await qemuImg('create', '-q', '-f', 'qcow2', long, '8M');
  await patch(long, 8, Buffer.from([0, 0, 0, 0, 0, 0, 1, 0, 0x7f, 0xff, 0xff, 0xff]));
  await refuses(t, await layerOf(directory, long, 'qcow2'), 'backing file name', 'a name of 2 GiB');
});

t.test('qed and qcow: backing files', async (t) => {
  const directory = await shortDirectory(t);
  for (const format of ['qed', 'qcow']) {
    const path = join(directory, `backed.${format}`);
    await qemuImg(
      'create',
      '-q',
      '-u',
      '-f',
      format,
      '-b',
      '/etc/hostname',
      ...(format === 'qed' ? ['-F', 'raw'] : ['-F', 'raw']),
      path,
      '8M',
    );
    await refuses(t, await layerOf(directory, path, format), '/etc/hostname', format);
  }
});

t.test('vmdk: descriptors, extents, parents, empty headers', async (t) => {
  const directory = await shortDirectory(t);
  const { path: content } = await writeContent(directory);
  const descriptor = join(directory, 'host.vmdk');
  await writeFile(
    descriptor,
    '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 1 FLAT "/etc/hostname" 0\n',
  );
  await refuses(t, await layerOf(directory, descriptor, 'vmdk'), '/etc/hostname', 'a descriptor that names a host file');

  const flat = await makeImage(directory, content, 'vmdk', 'subformat=monolithicFlat');
  await refuses(t, await layerOf(directory, flat, 'vmdk'), '-flat', 'a flat extent');

  const sparse = await makeImage(directory, content, 'vmdk', 'subformat=monolithicSparse');
  t.equal((await guardLayers(await layerOf(directory, sparse, 'vmdk'))).length, 1, 'a sparse image of its own is fine');
  const original = await readFile(sparse);

  const hinted = join(directory, 'hint.vmdk');
  await writeFile(hinted, original);
  await patch(hinted, 0x200, Buffer.from('# Disk DescriptorFile\nversion=1\nparentFileNameHint="/etc/hostname"\n\0'));
  await refuses(t, await layerOf(directory, hinted, 'vmdk'), '/etc/hostname', 'a parent hint');

  const two = join(directory, 'two.vmdk');
  await writeFile(two, original);
  await patch(two, 0x200, Buffer.from('# Disk DescriptorFile\nversion=1\nRW 16384 SPARSE "a.vmdk"\nRW 1 FLAT "/etc/hostname" 0\n\0'));
  await refuses(t, await layerOf(directory, two, 'vmdk'), '/etc/hostname', 'two extents');

  const empty = join(directory, 'empty.vmdk');
  await writeFile(empty, original);
  await patch(empty, 0x200, Buffer.from('# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 1 FLAT "/etc/hostname" 0\n\0'));
  await patch(empty, 12, Buffer.alloc(8));
  await refuses(t, await layerOf(directory, empty, 'vmdk'), '/etc/hostname', 'a header without capacity');

  const delta = join(directory, 'delta.vmdk');
  await writeFile(delta, original.toString('latin1').replace('parentCID=ffffffff', 'parentCID=12345678'), 'latin1');
  await refuses(t, await layerOf(directory, delta, 'vmdk'), '12345678', 'a parent by CID alone');
});

t.test('vpc, vdi and vhdx: differences to a parent', async (t) => {
  const directory = await shortDirectory(t);
  const { path: content } = await writeContent(directory);
  const vpc = await makeImage(directory, content, 'vpc', 'subformat=dynamic');
  await guardLayers(await layerOf(directory, vpc, 'vpc'));
  await patch(vpc, 60, Buffer.from([0, 0, 0, 4]));
  await patch(vpc, 512 + 64, Buffer.from('parent.vhd', 'utf16le').swap16());
  await refuses(t, await layerOf(directory, vpc, 'vpc'), 'parent.vhd', 'vpc');

  const vdi = await makeImage(directory, content, 'vdi');
  await guardLayers(await layerOf(directory, vdi, 'vdi'));
  await patch(vdi, 0x1b8, Buffer.alloc(16, 0xab));
  await refuses(t, await layerOf(directory, vdi, 'vdi'), 'abab', 'vdi');

  const vhdx = await makeImage(directory, content, 'vhdx');
  await guardLayers(await layerOf(directory, vhdx, 'vhdx'));
  const bytes = await readFile(vhdx);
  const guid = bytes.indexOf(Buffer.from('3767a1ca36fa434db3b633f0aa44e76b', 'hex'));
  const table = bytes.lastIndexOf('metadata', guid);
  await patch(vhdx, table + bytes.readUInt32LE(guid + 16) + 4, Buffer.from([2]));
  await refuses(t, await layerOf(directory, vhdx, 'vhdx'), 'parent', 'vhdx');
});

t.test('a mapped backing file is the layer below; chains end', async (t) => {
  const directory = await shortDirectory(t);
  const { path: content } = await writeContent(directory);
  const path = join(directory, 'overlay.qcow2');
  await qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', 'base', '-F', 'raw', path, '8M');
  const base = await layerOf(directory, content, 'raw');
  const top = await layerOf(directory, path, 'qcow2', { base });
  t.same(
    (await guardLayers(top)).map(({ layer }) => layer.format),
    ['qcow2', 'raw'],
  );

  const backing: Record<string, FormatLayer> = {};
  const circle = { ...top, backing };
  backing['base'] = circle;
  await refuses(t, circle, 'longer than', 'a circle');
});

t.test('formats without a guard are refused with the list', async (t) => {
  const directory = await shortDirectory(t);
  for (const format of ['dmg', 'luks', 'file', 'nbd', 'json:{}', 'toString']) {
    await refuses(t, await layerOf(directory, '/etc/hostname', format), '--format raw', format);
  }
});

t.test('random headers are refused or let through, and nothing else', async (t) => {
  const directory = await shortDirectory(t);
  const path = join(directory, 'random');
  const magics = {
    qcow2: 'QFI\xfb\0\0\0\x03',
    qed: 'QED\0',
    vmdk: 'KDMV',
    vhdx: 'vhdxfile',
    vpc: 'conectix',
    vdi: '',
    parallels: 'WithoutFreeSpace',
  };
  let state = 99;
  for (const [format, magic] of Object.entries(magics)) {
    for (let round = 0; round < 20; round += 1) {
      const bytes = Buffer.alloc(70000);
      for (let at = 0; at < bytes.length; at += 4) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        bytes.writeUInt32LE(round % 2 === 0 ? state : state % 4096, at % bytes.length);
      }
      bytes.write(magic, 0, 'latin1');
      if (format === 'vdi') bytes.writeUInt32LE(0xbeda107f, 0x40);
      await writeFile(path, bytes);
      await guardLayers(await layerOf(directory, path, format)).catch((error: unknown) => {
        if (!(error instanceof OriginError) || error.code !== 'ERR_FORMAT') t.fail(`${format}: ${String(error)}`);
      });
    }
  }
});
