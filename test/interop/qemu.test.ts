/** QEMU's block layer as a client: qemu-img and qemu-io. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { missing, run, serving } from './serving.js';

const { folder, subject, unixUri, tcpUri, socketPath } = await serving(t);
const { image, file } = subject;
const skip = await missing('qemu-img', '--version');

/** `-f raw` in the form that both unix and TCP take. */
const raw = (uri: string): string[] => ['-f', 'raw', uri];

t.test('qemu-img info knows the size', { skip }, async (t) => {
  const { stdout } = await run(t, 'qemu-img', ['info', '--output=json', ...raw(unixUri(image.name))]);
  const { 'virtual-size': sizeBytes, format } = JSON.parse(stdout);
  t.equal(format, 'raw');
  t.equal(sizeBytes, Math.ceil(image.bytes.length / 512) * 512, 'QEMU counts in sectors');
});

t.test('qemu-img convert copies what is there, unix and TCP', { skip }, async (t) => {
  for (const uri of [unixUri(image.name), tcpUri(image.name)]) {
    const target = join(folder, 'converted');
    await run(t, 'qemu-img', ['convert', ...raw(uri), '-O', 'raw', target]);
    t.ok((await readFile(target)).subarray(0, image.bytes.length).equals(image.bytes));
  }
});

t.test('qemu-img compare agrees with the image and sees a difference', { skip }, async (t) => {
  const same = join(folder, 'same');
  await writeFile(same, image.bytes);
  await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', same, unixUri(image.name)]);
  const other = Buffer.from(image.bytes);
  other.writeUInt8(other.readUInt8(2_500_000) ^ 1, 2_500_000);
  await writeFile(same, other);
  await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', same, unixUri(image.name)], { exitCode: 1 });
});

t.test('qemu-img map shows the hole', { skip }, async (t) => {
  const { stdout } = await run(t, 'qemu-img', ['map', '--output=json', ...raw(unixUri(image.name))]);
  const map: { start: number; length: number; zero: boolean; data: boolean }[] = JSON.parse(stdout);
  const end = map.at(-1);
  t.ok((end?.start ?? 0) + (end?.length ?? 0) >= image.bytes.length);
  t.ok(map.some(({ start, length, zero }) => zero && start === image.holeStart && length === image.holeEnd - image.holeStart));
});

t.test('qemu-io reads with a pattern check, and writes are refused on an image', { skip }, async (t) => {
  const at = 100_000;
  const value = image.bytes.readUInt8(at);
  await run(t, 'qemu-io', ['-r', ...raw(unixUri(image.name)), '-c', `read -P ${value} ${at} 1`]);
  const hole = await run(t, 'qemu-io', ['-r', ...raw(unixUri(image.name)), '-c', `read -P 0 ${image.holeStart} 1M`]);
  t.notMatch(hole.stdout, /failed/);
  const refused = await run(t, 'qemu-io', [...raw(unixUri(image.name)), '-c', 'write 0 4k'], { exitCode: 1 });
  t.match(refused.stderr, /permission denied|read.?only/i);
});

t.test('qemu-io writes, zeroes, discards, flushes and reads back', { skip }, async (t) => {
  const commands = [
    'write -P 0xa5 0 1M',
    'write -f -P 0x5a 1M 64k',
    'read -P 0xa5 0 1M',
    'read -P 0x5a 1M 64k',
    'write -z 64k 128k',
    'read -P 0 64k 128k',
    'write -z -u 512k 64k',
    'read -P 0 512k 64k',
    'write -P 0x11 12345 6789',
    'read -P 0x11 12345 6789',
    'aio_write -P 0x21 2M 256k',
    'aio_write -P 0x22 3M 256k',
    'aio_flush',
    'flush',
    'read -P 0x21 2M 256k',
    'read -P 0x22 3M 256k',
    'discard 2M 256k',
    'flush',
  ];
  const options = `driver=nbd,server.type=unix,server.path=${socketPath},export=${file.name}`;
  for (const target of [
    ['--image-opts', options],
    ['-t', 'none', ...raw(tcpUri(file.name))],
  ]) {
    const { stdout, stderr } = await run(t, 'qemu-io', [...target, ...commands.flatMap((command) => ['-c', command])]);
    t.notMatch(`${stdout}${stderr}`, /fail|error/i);
  }
});

t.test('a qcow2 overlay over the image reads through and keeps its writes to itself', { skip }, async (t) => {
  const overlay = join(folder, 'overlay.qcow2');
  await run(t, 'qemu-img', ['create', '-f', 'qcow2', '-F', 'raw', '-b', unixUri(image.name), overlay]);
  await run(t, 'qemu-io', [
    '-f',
    'qcow2',
    overlay,
    '-c',
    'write -P 0x77 4k 4k',
    '-c',
    'read -P 0x77 4k 4k',
    '-c',
    `read -P ${image.bytes.readUInt8(9000)} 9000 1`,
  ]);
  const same = join(folder, 'untouched');
  await writeFile(same, image.bytes);
  await run(t, 'qemu-img', ['compare', '-f', 'raw', '-F', 'raw', same, unixUri(image.name)]);
});
