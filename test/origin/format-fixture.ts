/** Images made by qemu-img, and private exports over them, for the tests of foreign formats. Not a test itself. */

import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Test } from 'tap';
import { silentLogger } from '../../src/base/log.js';
import type { Place } from '../../src/block/place.js';
import type { RequestOptions } from '../../src/block/read-options.js';
import type { RangeSink } from '../../src/block/sink.js';
import type { BlockDevice } from '../../src/device/device.js';
import { FileDevice } from '../../src/device/file.js';
import type { FormatContainer, Patch, PrivateExportHandle } from '../../src/origin/format/layer.js';
import { applyPatches } from '../../src/origin/format/patch.js';
import type { Origin } from '../../src/origin/origin.js';
import { createExportMetrics } from '../../src/server/export-metrics.js';
import { Server } from '../../src/server/server.js';

export const MiB = 1024 * 1024;

/** A directory whose path is short enough for sockets; removed with the test. */
export async function shortDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cf-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** 8 MiB: text that compresses, noise, and holes; no chunk like another. */
export function contentBytes(): Buffer {
  const content = Buffer.alloc(8 * MiB);
  for (let offset = MiB; offset < 3 * MiB; offset += 16) content.write(`line ${offset}`.padEnd(15).concat('\n'), offset, 'latin1');
  let state = 12345;
  for (let offset = 5 * MiB; offset < 6 * MiB; offset += 4) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    content.writeUInt32LE(state, offset);
  }
  content.write('the end', content.length - 7, 'latin1');
  return content;
}

export async function writeContent(directory: string): Promise<{ path: string; content: Buffer }> {
  const content = contentBytes();
  const path = join(directory, 'content.raw');
  await writeFile(path, content);
  return { path, content };
}

/** Runs qemu-img. */
export async function qemuImg(...args: string[]): Promise<void> {
  await execa('qemu-img', args);
}

/** An image of `format` with the content; `options` as after `-o`, `flags` such as `-c`. */
export async function makeImage(
  directory: string,
  contentPath: string,
  format: string,
  options = '',
  flags: string[] = [],
): Promise<string> {
  const path = join(directory, `image-${format}-${options.replace(/\W+/g, '-')}${flags.join('')}`);
  await qemuImg('convert', '-f', 'raw', '-O', format, ...(options === '' ? [] : ['-o', options]), ...flags, contentPath, path);
  return path;
}

/** What QEMU itself makes of an image, as the reference. */
export async function decodedByQemuImg(directory: string, path: string, format: string): Promise<Buffer> {
  const target = join(directory, 'reference.raw');
  await qemuImg('convert', '-f', format, '-O', 'raw', path, target);
  return readFile(target);
}

class PlainFileOrigin implements Origin {
  readBytes = 0;
  constructor(
    readonly url: string,
    readonly sizeBytes: number,
  ) {}
  get identity(): Origin['identity'] {
    return { kind: 'file', sizeBytes: this.sizeBytes, inode: '1', mtimeNs: '1' };
  }
  async read(offset: number, lengthBytes: number, sink: RangeSink): Promise<void> {
    const file = await open(this.url);
    const target = Buffer.alloc(lengthBytes);
    await file.read(target, 0, lengthBytes, offset).finally(() => file.close());
    this.readBytes += lengthBytes;
    sink.data(target);
  }
  async close(): Promise<void> {}
}

/** Faults are set while the container is in use. */
export interface TestContainer extends FormatContainer {
  openCount: number;
  /** Bytes that its private exports sent. */
  exportedBytes: number;
  /** Every read of a private export rejects with this. */
  failure: Error | undefined;
  /** No read of a private export is answered. */
  hangs: boolean;
}

/** Serves an image file as the daemon would. */
export async function containerOf(directory: string, path: string): Promise<TestContainer> {
  const container: TestContainer = {
    origin: new PlainFileOrigin(path, (await stat(path)).size),
    openCount: 0,
    exportedBytes: 0,
    failure: undefined,
    hangs: false,
    privateExport: {
      async open(patches = []) {
        container.openCount += 1;
        return serve(new ContainerDevice(path, container, patches), join(await mkdtemp(join(directory, 'p-')), 's'));
      },
    },
  };
  return container;
}

/** What the daemon's private export does with patches, in small. */
class ContainerDevice extends FileDevice {
  override readonly features = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };

  constructor(
    path: string,
    readonly container: TestContainer,
    readonly patches: readonly Patch[],
  ) {
    super(path);
  }

  override readNow(): boolean {
    return false;
  }

  override async read(target: Buffer, offset: number, options: RequestOptions = {}): Promise<Place> {
    if (this.container.hangs) await new Promise((_, reject) => options.signal?.addEventListener('abort', reject, { once: true }));
    if (this.container.failure !== undefined) throw this.container.failure;
    this.container.exportedBytes += target.length;
    await super.read(target, offset);
    applyPatches(this.patches, target, offset);
    return 'origin';
  }
}

async function serve(device: BlockDevice, path: string): Promise<PrivateExportHandle> {
  const metrics = createExportMetrics();
  const exported = { name: 'container', description: '', device, metrics, release: () => undefined };
  const server = new Server({
    directory: { list: () => [], open: async () => exported },
    limits: {
      connectionCount: 4,
      handshakeTimeoutMs: 60_000,
      requestsPerConnection: 64,
      bytesPerConnection: 64 * MiB,
      requestMemoryBytes: 64 * MiB,
    },
    log: silentLogger,
  });
  await server.listen({ kind: 'unix', path, mode: 0o600 });
  return {
    socketPath: path,
    exportName: 'container',
    failure: () => ({ count: metrics.errors, error: metrics.lastError }),
    async close() {
      await server.stop(0);
      await device.close();
    },
  };
}

/** All of an origin's bytes, in reads of 1 MiB, and how many came as zeros. */
export async function readAll(origin: Origin): Promise<{ bytes: Buffer; zeroBytes: number }> {
  const bytes = Buffer.alloc(origin.sizeBytes, 0xee);
  let zeroBytes = 0;
  for (let offset = 0; offset < origin.sizeBytes; offset += MiB) {
    let at = offset;
    await origin.read(offset, Math.min(MiB, origin.sizeBytes - offset), {
      data(piece) {
        at += piece.copy(bytes, at);
      },
      zeroes(lengthBytes) {
        bytes.fill(0, at, at + lengthBytes);
        at += lengthBytes;
        zeroBytes += lengthBytes;
      },
    });
  }
  return { bytes, zeroBytes };
}
