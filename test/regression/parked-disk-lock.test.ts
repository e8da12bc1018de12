/**
 * The files of an idle disk could not be opened again once a native thread had sent pages of them: a mapping of the data file
 * outlives its descriptor, and kept the lock. Reads, flushes and handovers of the disk failed (EAGAIN) until a restart.
 *
 * Needs a temporary directory on a file system whose pages can leave memory: elsewhere nothing is mapped.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { silentLogger } from '../../src/base/log.js';
import { native } from '../../src/base/native/loader.js';
import { FastAccess } from '../../src/device/fast-access.js';
import { createExportMetrics, foldLanes } from '../../src/server/export-metrics.js';
import { Server } from '../../src/server/server.js';
import { enter } from '../conformance/wire/handshake.js';
import { ScriptedDevice } from '../server/scripted-device.js';
import { shortDir } from '../support/short-dir.js';
import { holds } from '../support/wait.js';

const content = Buffer.alloc(1 << 20, 'copse');

t.test('a disk is used again after its files were closed', async (t) => {
  const folder = shortDir(t);
  const [dataPath, mapPath] = [join(folder, 'data'), join(folder, 'map')];
  const overlay = native.openOverlayFile({ dataPath, mapPath, sizeBytes: content.length, recordsOffset: 4096, recordSeed: 1 });
  await overlay.write(content, 0, content.length, 0, undefined);
  await overlay.flush();
  const device = Object.assign(new ScriptedDevice(content), {
    fast: new FastAccess({ offer: () => ({ overlay, image: undefined, writable: false }) }),
  });
  const metrics = createExportMetrics();
  const server = new Server({
    directory: { list: () => [], open: async (name) => ({ name, description: '', device, metrics, release: () => {} }) },
    limits: {
      connectionCount: 10,
      handshakeTimeoutMs: 60_000,
      requestsPerConnection: 16,
      bytesPerConnection: 2 ** 26,
      requestMemoryBytes: 2 ** 28,
    },
    log: silentLogger,
  });
  const path = join(folder, 's');
  await server.listen({ kind: 'unix', path });
  t.after(async () => {
    await server.stop(0);
    await overlay.close();
  });
  const socket = connect({ path, allowHalfOpen: true });
  await once(socket, 'connect');
  const session = await enter(socket, 'x');
  const laneReads = (): number => foldLanes(metrics).fast.reads;
  while (laneReads() === 0) t.ok((await session.read(0, content.length)).data.equals(content));
  await session.disconnect();
  socket.destroy();
  await holds(() => metrics.fast.lanes.size === 0);
  // The thread may let go of the overlay a moment later.
  await holds(() => overlay.park());
  const target = Buffer.alloc(content.length);
  t.equal(await overlay.read(target, 0, target.length, 0), true);
  t.ok(target.equals(content));
});
