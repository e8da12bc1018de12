/**
 * The raw bytes of a container on a socket that only this user's qemu-nbd knows. A program that
 * decodes images sees nothing else.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { silentLogger } from '../base/log.js';
import { MiB } from '../base/size.js';
import type { BlockDevice } from '../device/device.js';
import type { PrivateExport, PrivateExportHandle } from '../origin/format/layer.js';
import { createExportMetrics } from '../server/export-metrics.js';
import { Server } from '../server/server.js';
import { containerDeadlineMs } from './cached-origin.js';
import { PatchedDevice } from './patched-device.js';

const limits = {
  connectionCount: 16,
  handshakeTimeoutMs: 10_000,
  requestsPerConnection: 64,
  bytesPerConnection: 64 * MiB,
  requestMemoryBytes: 64 * MiB,
};

/** @param runDir directory that only this user may enter */
export function privateExport(device: BlockDevice, runDir: string): PrivateExport {
  return {
    open: (patches = []) => openPrivateExport(patches.length === 0 ? device : new PatchedDevice(device, patches), runDir),
  };
}

async function openPrivateExport(device: BlockDevice, runDir: string): Promise<PrivateExportHandle> {
  const exportName = 'container';
  const metrics = createExportMetrics();
  const exported = { name: exportName, description: '', device, deadlineMs: containerDeadlineMs, metrics, release: () => {} };
  const server = new Server({
    directory: { list: () => [], open: async (name) => (name === exportName ? exported : undefined) },
    limits,
    // Decoded bytes are cached, so qemu-nbd seldom reads a byte twice.
    fastPath: false,
    log: silentLogger,
  });
  const socketPath = join(runDir, `${randomBytes(6).toString('hex')}.sock`);
  await server.listen({ kind: 'unix', path: socketPath, mode: 0o600 });
  return {
    socketPath,
    exportName,
    failure: () => ({ count: metrics.errors, error: metrics.lastError }),
    close: () => server.stop(0),
  };
}
