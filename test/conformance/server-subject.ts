/** Copse's own server as a subject: an image over the real cache, and a local read-write file, in this process. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Budget } from '../../src/base/budget.js';
import { systemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { BufferPools } from '../../src/cache/buffer-pool.js';
import { ChunkCache } from '../../src/cache/chunk-cache.js';
import type { ChunkSource } from '../../src/cache/chunk-source.js';
import { CacheSpace } from '../../src/cache/evict/cache-space.js';
import { ChunkStore } from '../../src/cache/store/chunk-store.js';
import type { BlockDevice } from '../../src/device/device.js';
import { FileDevice } from '../../src/device/file.js';
import { ImageDevice } from '../../src/image/image-device.js';
import type { Export } from '../../src/server/export.js';
import { createExportMetrics } from '../../src/server/export-metrics.js';
import { Server } from '../../src/server/server.js';
import { fileSizeBytes, imageBytes, imageHole } from './content.js';
import { fastPathByDefault } from './fast-path.js';
import { FaultDevice } from './fault-device.js';
import type { Subject } from './subject.js';

export interface ServedSubject {
  server: Server;
  /** All of a subject but the way to it. */
  subject: Omit<Subject, 'name' | 'connect'>;
  /** Requests for the image that native threads answered, and that they left to JavaScript. */
  fastCounts(): { answered: number; handedUp: number };
  close(): Promise<void>;
}

/** @param folder an empty directory for the cache and the file */
export async function serve(folder: string, { fastPath = fastPathByDefault }: { fastPath?: boolean } = {}): Promise<ServedSubject> {
  const file = await open(join(folder, 'file'), 'w');
  await file.truncate(fileSizeBytes);
  await file.close();
  const bytes = imageBytes();
  const image = imageDevice(folder, bytes);
  const fault = new FaultDevice(new FileDevice(join(folder, 'file')), { offset: 33 * 1024 * 1024, lengthBytes: 1024 * 1024 });
  const held = new Map<string, number>();
  const imageMetrics = createExportMetrics();
  const exports = new Map<string, Export>([
    ['image/debian', exportOf('image/debian', 'An image', image, held, imageMetrics)],
    ['file', exportOf('file', 'A local file', fault, held)],
  ]);
  const server = new Server({
    directory: {
      list: () => [...exports.values()].map(({ name, description }) => ({ name, description })),
      open: async (name) => {
        const opened = exports.get(name);
        if (opened !== undefined) held.set(name, (held.get(name) ?? 0) + 1);
        return opened;
      },
    },
    limits: {
      connectionCount: 100,
      handshakeTimeoutMs: 60_000,
      requestsPerConnection: 64,
      bytesPerConnection: 64 * 1024 * 1024,
      requestMemoryBytes: 256 * 1024 * 1024,
    },
    log: silentLogger,
    fastPath,
  });
  return {
    server,
    subject: {
      image: { name: 'image/debian', description: 'An image', bytes, ...imageHole },
      file: { name: 'file', description: 'A local file', sizeBytes: fileSizeBytes },
      fault,
      has: { extended: true, cachedContext: true, holes: true },
    },
    fastCounts: () => {
      const { fast } = imageMetrics;
      for (const fold of fast.lanes) fold();
      return { answered: fast.reads + fast.writes, handedUp: fast.handedUp };
    },
    close: async () => {
      await server.stop(1000);
      await image.close();
      await fault.close();
      for (const [name, count] of held) if (count !== 0) throw new Error(`${count} connections still hold ${name}`);
    },
  };
}

function imageDevice(folder: string, bytes: Buffer): ImageDevice {
  const source: ChunkSource = {
    read: async (offset, lengthBytes, sink) => {
      for (let at = offset; at < offset + lengthBytes; ) {
        const hole = at >= imageHole.holeStart && at < imageHole.holeEnd;
        const boundary = hole ? imageHole.holeEnd : at < imageHole.holeStart ? imageHole.holeStart : bytes.length;
        const end = Math.min(boundary, offset + lengthBytes);
        if (hole) sink.zeroes(end - at);
        else sink.data(bytes.subarray(at, end));
        at = end;
      }
    },
  };
  const common = { clock: systemClock, log: silentLogger };
  const store = new ChunkStore({
    dataPath: join(folder, 'data'),
    mapPath: join(folder, 'map'),
    sizeBytes: bytes.length,
    chunkBytes: 64 * 1024,
    recordSeed: 1,
  });
  const space = new CacheSpace({ ...common, path: folder, budgetBytes: 64 * 1024 * 1024, minFreeBytes: 0 });
  space.add(store);
  const cache = new ChunkCache({
    ...common,
    name: 'image/debian',
    store,
    source,
    space,
    memory: new Budget(64 * 1024 * 1024),
    buffers: new BufferPools(1024 * 1024),
    limits: { demandRequests: 8, prefetchRequests: 4, maxRunChunks: 16 },
    readaheadBytes: 1024 * 1024,
    deadlineMs: 50_000,
  });
  return new ImageDevice(cache);
}

function exportOf(
  name: string,
  description: string,
  device: BlockDevice,
  held: Map<string, number>,
  metrics = createExportMetrics(),
): Export {
  return { name, description, device, metrics, release: () => held.set(name, (held.get(name) ?? 0) - 1) };
}
