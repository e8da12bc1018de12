import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLogger } from '../../src/base/log.js';
import { type FormatOriginOptions, openFormatOrigin } from '../../src/origin/format/format-origin.js';
import { probeFormat } from '../../src/origin/format/probe.js';
import { type Origin, OriginError } from '../../src/origin/origin.js';
import { bufferSink } from '../../src/origin/sink.js';
import {
  containerOf,
  decodedByQemuImg,
  MiB,
  makeImage,
  qemuImg,
  readAll,
  shortDirectory,
  type TestContainer,
  writeContent,
} from './format-fixture.js';

const log = silentLogger;

async function opened(t: Test, container: TestContainer, runDir: string, options: Partial<FormatOriginOptions> = {}): Promise<Origin> {
  const { format, sizeBytes } = await probeFormat({ container, runDir, log, ...options });
  const origin = openFormatOrigin({ container, runDir, log, format, sizeBytes, ...options });
  t.teardown(() => origin.close());
  return origin;
}

async function readAt(origin: Origin, offset: number, lengthBytes: number, signal?: AbortSignal): Promise<Buffer> {
  const target = Buffer.alloc(lengthBytes, 0xee);
  await origin.read(offset, lengthBytes, bufferSink(target), { signal });
  return target;
}

t.test('every format gives the bytes that qemu-img convert gives', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const cases: [format: string, options?: string, flags?: string[]][] = [
    ['qcow2'],
    ['qcow2', '', ['-c']],
    ['qcow2', 'compression_type=zstd', ['-c']],
    ['qcow2', 'compat=0.10'],
    ['qcow2', 'cluster_size=2M'],
    ['qcow2', 'extended_l2=on'],
    ['vmdk', 'subformat=monolithicSparse'],
    ['vmdk', 'subformat=streamOptimized'],
    ['vhdx'],
    ['vdi'],
    ['vpc', 'subformat=dynamic'],
    ['vpc', 'subformat=fixed'],
    ['qed'],
    ['qcow'],
    ['parallels'],
  ];
  for (const [format, options, flags] of cases) {
    const image = await makeImage(directory, path, format, options, flags);
    const container = await containerOf(directory, image);
    const origin = await opened(t, container, directory);
    const { bytes, zeroBytes } = await readAll(origin);
    const reference = await decodedByQemuImg(directory, image, format);
    t.ok(bytes.equals(reference), `${format} ${options ?? ''} ${flags ?? ''}: ${bytes.length} bytes`);
    if (format === 'qcow2' && options !== 'cluster_size=2M') t.ok(zeroBytes > MiB, `${zeroBytes} bytes of zeros were not transferred`);
    await origin.close();
  }
});

t.test('an image is not read whole', async (t) => {
  const directory = await shortDirectory(t);
  const { path, content } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  const container = await containerOf(directory, image);
  const origin = await opened(t, container, directory);
  t.ok((await readAt(origin, 5 * MiB, 4096)).equals(content.subarray(5 * MiB, 5 * MiB + 4096)));
  t.ok(container.exportedBytes < MiB, `${container.exportedBytes} of ${container.origin.sizeBytes} bytes were read`);
});

t.test('opening contacts nobody; the size is the recorded one', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  const container = await containerOf(directory, image);
  const origin = openFormatOrigin({ container, runDir: directory, log, format: 'qcow2', sizeBytes: 4 * MiB });
  t.teardown(() => origin.close());
  t.equal(origin.sizeBytes, 4 * MiB);
  t.equal(container.openCount, 0);
  await t.rejects(readAt(origin, 0, 512), { code: 'ERR_FORMAT' }, 'a decoder that says another size is not read from');
});

t.test('many at once, and a killed qemu-nbd', async (t) => {
  const directory = await shortDirectory(t);
  const { path, content } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2', '', ['-c']);
  const container = await containerOf(directory, image);
  let pid = 0;
  const origin = await opened(t, container, directory, {
    log: Object.assign(Object.create(log), { debug: (fields: { pid?: number }) => (pid = fields.pid ?? pid) }),
  });
  const offsets = Array.from({ length: 40 }, (_, index) => (index * 7919 * 512) % (8 * MiB - 65536));
  const pieces = await Promise.all(offsets.map((offset) => readAt(origin, offset, 65536)));
  t.ok(pieces.every((piece, index) => piece.equals(content.subarray(offsets[index], (offsets[index] ?? 0) + 65536))));
  const before = pid;
  process.kill(before, 'SIGKILL');
  t.ok((await readAt(origin, MiB, 65536)).equals(content.subarray(MiB, MiB + 65536)), 'the next read works');
  t.not(pid, before, 'by another process');
});

t.test('what is behind an error', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const image = await makeImage(directory, path, 'qcow2');
  const container = await containerOf(directory, image);
  const origin = await opened(t, container, directory);
  await readAt(origin, MiB, 4096);
  container.failure = new OriginError('ERR_ORIGIN_CHANGED', 'another ETag');
  await t.rejects(readAt(origin, 2 * MiB, 4096), { code: 'ERR_ORIGIN_CHANGED', message: 'another ETag' });
  container.failure = new OriginError('ERR_ORIGIN_UNAVAILABLE', 'away');
  await t.rejects(readAt(origin, 2 * MiB, 4096), { code: 'ERR_ORIGIN_UNAVAILABLE' });
  container.failure = undefined;
  t.ok(await readAt(origin, 2 * MiB, 4096), 'back again');
  container.hangs = true;
  const abort = new AbortController();
  const reading = t.rejects(readAt(origin, 5 * MiB, 4096, abort.signal), { code: 'ERR_ABORTED' });
  abort.abort();
  await reading;
});

t.test('probe: detection, --format raw, refusals', async (t) => {
  const directory = await shortDirectory(t);
  const { path } = await writeContent(directory);
  const image = await makeImage(directory, path, 'vmdk', 'subformat=streamOptimized');
  const container = await containerOf(directory, image);
  t.same(await probeFormat({ container, runDir: directory, log }), { format: 'vmdk', sizeBytes: 8 * MiB, container: 'whole' });
  t.equal(container.openCount, 1);
  const raw = { format: 'raw', sizeBytes: container.origin.sizeBytes };
  t.same(await probeFormat({ container, runDir: directory, log, format: 'raw', searchPath: '' }), raw, 'raw needs no program');
  t.equal(container.openCount, 1);
  await t.rejects(probeFormat({ container, runDir: directory, log, searchPath: '' }), { code: 'ERR_FORMAT', message: /qemu-utils/ });
  await t.rejects(probeFormat({ container, runDir: directory, log, format: 'vdi' }), { code: 'ERR_FORMAT' }, 'the wrong format');
  const crafted = join(directory, 'crafted.qcow2');
  await qemuImg('create', '-q', '-u', '-f', 'qcow2', '-b', '/etc/hostname', '-F', 'raw', crafted, '8M');
  const hostile = await containerOf(directory, crafted);
  await t.rejects(probeFormat({ container: hostile, runDir: directory, log }), { code: 'ERR_FORMAT', message: /\/etc\/hostname/ });
  t.equal(hostile.openCount, 0, 'before anything was started');
});
