/** qemu-img, qemu-io, nbdcopy and nbdinfo over disks of the real daemon: contents, maps that tell the truth, space that comes back. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { DiskHost, imageName } from '../fault/disk-host.js';
import { missing, run } from './serving.js';

const mebibyte = 1024 * 1024;
const skip = (await missing('qemu-img', '--version')) || (await missing('nbdinfo', '--version'));

/** Data, a hole of 2 MiB, data, and an end inside a block. */
const image = pattern(6 * mebibyte + 777, 81);
image.fill(0, 2 * mebibyte, 4 * mebibyte);
const sizeBytes = 16 * mebibyte;

const host = skip === false ? await DiskHost.start(t, { image }) : undefined;

async function disk(name: string, ...options: string[]): Promise<{ host: DiskHost; uri: string; path: string; model: Buffer }> {
  if (host === undefined) throw new Error('the test is to be skipped');
  await host.disk('create', name, ...options);
  const model = Buffer.alloc(sizeBytes);
  if (options.includes('--image')) image.copy(model);
  return { host, uri: host.uri(name), path: join(host.daemon.folder, `${name}.raw`), model };
}

const overImage = ['--image', imageName, '--size', String(sizeBytes)];
const qemuIo = (uri: string, commands: string[]): string[] => [
  ...['-d', 'unmap', '-f', 'raw', uri],
  ...commands.flatMap((command) => ['-c', command]),
];

interface MapEntry {
  offset: number;
  length: number;
  type: number;
}

t.test('writes, zeros and discards over an image: qemu-img compares, converts and maps them', { skip }, async (t) => {
  const { uri, path, model } = await disk('vm1', ...overImage);
  await writeFile(path, model);
  await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', path, uri]);

  await run(
    t,
    'qemu-io',
    qemuIo(uri, [
      'write -P 0xa5 1000 5000',
      'write -P 0xa6 3M 64k',
      'write -z -u 1M 100k',
      'discard 5M 128k',
      'write -P 0xa7 10M 1M',
      'flush',
    ]),
  );
  model.fill(0xa5, 1000, 6000).fill(0xa6, 3 * mebibyte, 3 * mebibyte + 65536);
  model.fill(0, mebibyte, mebibyte + 102_400).fill(0, 5 * mebibyte, 5 * mebibyte + 131_072);
  model.fill(0xa7, 10 * mebibyte, 11 * mebibyte);
  await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', path, uri], { exitCode: 1 });
  await writeFile(path, model);
  await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', path, uri]);

  const { stdout } = await run(t, 'nbdinfo', ['--map', '--json', uri]);
  const map: MapEntry[] = JSON.parse(stdout);
  const end = map.reduce((at, { offset, length }) => (offset === at ? offset + length : Number.NaN), 0);
  t.equal(end, sizeBytes, 'the map is whole');
  for (const { offset, length, type } of map) {
    const isZero = model.subarray(offset, offset + length).every((byte) => byte === 0);
    t.equal(isZero, type === 3, `${length} bytes at ${offset} of type ${type}`);
  }
  for (const [what, offset, lengthBytes, type] of [
    ['what was written inside a hole of the image', 3 * mebibyte, 65536, 0],
    ['zeros over data of the image', mebibyte, 102_400, 3],
    ['what was discarded', 5 * mebibyte, 131_072, 3],
    ['what was written beyond the image', 10 * mebibyte, mebibyte, 0],
    ['beyond', 11 * mebibyte, 5 * mebibyte, 3],
  ] as const) {
    const within = map.filter((entry) => entry.offset < offset + lengthBytes && entry.offset + entry.length > offset);
    t.ok(
      within.every((entry) => entry.type === type),
      `${what}: type ${type}`,
    );
  }

  await run(t, 'qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', uri, `${path}.qcow2`]);
  await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', path, `${path}.qcow2`]);
  await run(t, 'nbdcopy', [uri, `${path}.copy`]);
  t.ok((await readFile(`${path}.copy`)).equals(model), 'nbdcopy, which goes by the map');
});

t.test('copies into disks: qemu-img and nbdcopy, sparse, and from disk to disk', { skip }, async (t) => {
  const { host, uri, path, model } = await disk('target', '--size', String(sizeBytes));
  image.copy(model, mebibyte);
  await writeFile(path, model);
  await run(t, 'qemu-img', ['convert', '-n', '-W', '-f', 'raw', '-O', 'raw', path, uri]);
  await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', path, uri]);
  const { overlay } = await host.status('target');
  t.ok((overlay?.dataBytes ?? 0) <= 4 * mebibyte + 2 * 4096, `${overlay?.dataBytes} bytes are data`);

  const other = await disk('other', ...overImage);
  await run(t, 'nbdcopy', ['--flush', path, other.uri]);
  await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', path, other.uri]);
  const shared = await disk('third', '--size', String(sizeBytes), '--multi-conn');
  await run(t, 'nbdcopy', ['--connections=4', '--flush', other.uri, shared.uri]);
  await host.crash();
  await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', other.uri, shared.uri]);
  await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', path, uri], { exitCode: 0 });
});

t.test('nbdinfo says what a disk is', { skip }, async (t) => {
  const { uri } = await disk('info', ...overImage);
  const [info] = JSON.parse((await run(t, 'nbdinfo', ['--json', uri])).stdout).exports;
  const can = { can_flush: true, can_fua: true, can_trim: true, can_zero: true, can_fast_zero: true, can_multi_conn: false };
  t.match(info, { 'export-size': sizeBytes, is_read_only: false, ...can, block_size_minimum: 1, block_size_preferred: 4096 });
  const shared = await disk('shared', '--size', '4M', '--multi-conn');
  await run(t, 'nbdinfo', ['--can', 'multi-conn', shared.uri]);
});

t.test('discard and write -z give space back, once flushed', { skip }, async (t) => {
  const { host, uri } = await disk('space', ...overImage);
  for (const [name, free] of [
    ['discard', 'discard 0 12M'],
    ['write -z -u', 'write -z -u 0 12M'],
  ] as const) {
    await run(t, 'qemu-io', qemuIo(uri, ['write -P 0x77 0 12M', 'flush']));
    const full = await host.allocatedBytes('space');
    t.ok(full >= 12 * mebibyte, `${full} bytes before ${name}`);
    await run(t, 'qemu-io', qemuIo(uri, [free, 'flush', 'read -P 0 0 12M']));
    const left = await host.allocatedBytes('space');
    t.ok(left <= 65536, `${left} bytes after ${name}`);
  }
  await run(t, 'qemu-io', qemuIo(uri, ['write -P 0x77 0 8M', 'flush', 'discard 1000 8000000', 'flush']));
  const { stdout } = await run(t, 'qemu-io', qemuIo(uri, ['read -P 0x77 0 1000', `read -P 0x77 8001000 ${8 * mebibyte - 8_001_000}`]));
  t.notMatch(stdout, /failed/, 'the ends of a discard that is not aligned stay');
});
