import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { detectFormat } from '../../src/origin/format/detect.js';
import { makeImage, shortDirectory, writeContent } from './format-fixture.js';

const detect = (bytes: Buffer): Promise<string> =>
  detectFormat(async (offset, lengthBytes) => bytes.subarray(offset, offset + lengthBytes), bytes.length);

t.test('images made by qemu-img are told by their content', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const cases: [expected: string, format: string, options?: string, flags?: string[]][] = [
    ['raw', 'raw'],
    ['qcow', 'qcow'],
    ['qcow2', 'qcow2'],
    ['qcow2', 'qcow2', 'compat=0.10'],
    ['qed', 'qed'],
    ['vdi', 'vdi'],
    ['vhdx', 'vhdx'],
    ['vpc', 'vpc', 'subformat=dynamic'],
    ['vpc', 'vpc', 'subformat=fixed'],
    ['vmdk', 'vmdk', 'subformat=monolithicSparse'],
    ['vmdk', 'vmdk', 'subformat=streamOptimized'],
    ['vmdk', 'vmdk', 'subformat=monolithicFlat'],
    ['parallels', 'parallels'],
  ];
  for (const [expected, format, options, flags] of cases) {
    const image = await makeImage(directory, path, format, options, flags);
    t.equal(await detect(await readFile(image)), expected, `${format} ${options ?? ''}`);
  }
  const luks = join(directory, 'luks');
  await writeFile(luks, Buffer.concat([Buffer.from('LUKS\xba\xbe', 'latin1'), Buffer.alloc(4096)]));
  t.equal(await detect(await readFile(luks)), 'luks');
});

t.test('what only looks like a format is raw', async (t) => {
  const iso = Buffer.alloc(40960);
  iso.write('CD001', 32769, 'latin1');
  t.equal(await detect(iso), 'raw', 'an ISO image');
  t.equal(await detect(Buffer.alloc(0)), 'raw', 'nothing');
  t.equal(await detect(Buffer.from('QFI')), 'raw', 'less than a magic');
  const footer = Buffer.alloc(4096);
  footer.write('conectix', 4096 - 512, 'latin1');
  t.equal(await detect(footer), 'raw', 'a VHD footer whose checksum is wrong');
  t.equal(await detect(Buffer.from('#!/bin/sh\necho version=1\n'.padEnd(600))), 'raw', 'a script');
});

t.test('a VMDK descriptor with comments first', async (t) => {
  t.equal(await detect(Buffer.from('# a comment\n\n# another\nversion=1\nCID=1\n')), 'vmdk');
  t.equal(await detect(Buffer.from('# Disk DescriptorFile\nversion=1\n')), 'vmdk');
});
