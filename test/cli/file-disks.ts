/** A scripted control whose disks are files, served by Copse's own server: what `export` and `import` copy is real. */
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { DiskControl, DiskCreateRequest, DiskStatus } from '../../src/admin/control.js';
import { silentLogger } from '../../src/base/log.js';
import { FileDevice } from '../../src/device/file.js';
import type { Export } from '../../src/server/export.js';
import { createExportMetrics } from '../../src/server/export-metrics.js';
import { Server } from '../../src/server/server.js';
import { FakeControl } from '../admin/fake-control.js';
import { FaultDevice } from '../conformance/fault-device.js';
import { shortDir } from '../support/short-dir.js';

const blockBytes = 4096;

/** Counts flushes, and fails them when told to. */
class FlushedFile extends FileDevice {
  flushCount = 0;
  flushFailure: unknown;

  override async flush(): Promise<void> {
    this.flushCount += 1;
    if (this.flushFailure !== undefined) throw this.flushFailure;
    await super.flush();
  }
}

interface Files {
  path: string;
  file: FlushedFile;
  /** All of the disk can be held and failed. */
  fault: FaultDevice;
  served: Export;
}

export class FileDisks extends FakeControl {
  readonly folder: string;
  /** Told to each disk when it is created. */
  onCreate: (disk: Files) => void = () => {};
  listeners: string[] = [];
  readonly files = new Map<string, Files>();

  private constructor(folder: string) {
    super();
    this.folder = folder;
    const status = this.node.status.bind(this.node);
    this.node.status = async () => ({ ...(await status()), listeners: this.listeners });
    const create = this.disks.create.bind(this.disks);
    this.disks.create = (request) => this.#create(request, create);
  }

  /** Ends with the test. */
  static async start(t: Test): Promise<FileDisks> {
    const disks = new FileDisks(shortDir(t));
    const server = new Server({
      directory: { list: () => [], open: async (name) => disks.files.get(name)?.served },
      limits: {
        connectionCount: 10,
        handshakeTimeoutMs: 60_000,
        requestsPerConnection: 64,
        bytesPerConnection: 64 * 1024 * 1024,
        requestMemoryBytes: 256 * 1024 * 1024,
      },
      log: silentLogger,
    });
    disks.listeners = [await server.listen({ kind: 'unix', path: join(disks.folder, 'n bd') })];
    t.teardown(async () => {
      for (const { fault } of disks.files.values()) fault.release();
      await server.stop(1000);
      for (const { fault } of disks.files.values()) await fault.close();
    });
    return disks;
  }

  async #create(request: DiskCreateRequest, create: DiskControl['create']): Promise<DiskStatus> {
    const sizeBytes = Math.ceil((request.sizeBytes ?? 0) / blockBytes) * blockBytes;
    const status = await create(request);
    const { name } = request;
    const path = join(this.folder, String(this.files.size));
    const descriptor = openSync(path, 'w');
    ftruncateSync(descriptor, sizeBytes);
    closeSync(descriptor);
    const file = new FlushedFile(path);
    const fault = new FaultDevice(file, { offset: 0, lengthBytes: sizeBytes });
    const served = { name, description: 'A disk', device: fault, metrics: createExportMetrics(), release: () => {} };
    const disk = { path, file, fault, served };
    this.files.set(name, disk);
    this.onCreate(disk);
    const rounded = { ...status, sizeBytes };
    this.disks.known.set(name, rounded);
    return rounded;
  }

  /** @throws when there is no such disk */
  fileOf(name: string): Files {
    const files = this.files.get(name);
    if (files === undefined) throw new Error(`no disk ${name} was created`);
    return files;
  }
}
