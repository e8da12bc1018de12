/** A Copse disk: each QEMU attaches to the daemon of its own host; the disk's owner follows the VM, its blocks come afterwards. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DiskStatus } from '../../../../src/admin/schema-disk.js';
import { CopseError } from '../../../../src/base/error.js';
import { foreignErrorCode } from '../../../../src/base/error-code.js';
import { Lifecycle } from '../../../../src/base/lifecycle.js';
import { copseDisk } from '../../server/disk-server.js';
import { type CopseNode, peerPort, startNode, waitUntilWhole } from '../../storm/lab/node.js';
import type { MigrationContext, Way } from '../context.js';
import { ByteCount } from '../lab/byte-count.js';
import { damageOf, writeDirty } from './dirty-disk.js';

/** Many times what the rest of the overlay takes over the link. */
const completionTimeoutMs = 300_000;

export async function copseDisks(context: MigrationContext): Promise<Way> {
  const { origin, base, dirty } = context;
  const running = new Lifecycle();
  const places = [context.source, context.destination];
  try {
    const nodes: CopseNode[] = [];
    for (const [index, place] of places.entries()) {
      const dir = join(context.workDir, `c${index + 1}`);
      await mkdir(dir);
      const images = { image: origin.url('copse', base.name) };
      nodes.push(running.own(await startNode(dir, { place, nodeId: `host-${index + 1}`, peers: places, images })));
    }
    const [source, destination] = nodes;
    if (source === undefined || destination === undefined) throw new Error('two nodes were started');
    await waitUntilWhole(nodes, 'image', nodes.length);
    const count = await ByteCount.start(context.destination, peerPort);
    let diskCount = 0;
    return {
      name: 'copse',
      title: 'Copse',
      async prepare() {
        diskCount += 1;
        const exportName = `disk-${diskCount}`;
        await copseDisk(source, 'create', exportName, '--image', 'image');
        await writeDirty({ ...source, exportName }, dirty);
        const before = await count.bytes();
        return {
          atSource: [nbdNode(source, exportName)],
          atDestination: [nbdNode(destination, exportName)],
          movedBytes: async () => (await count.bytes()) - before,
          completed: () => untilAllIsThere(destination, exportName),
          damage: () => damageOf({ ...destination, exportName }, dirty),
          close: async () => void (await copseDisk(destination, 'rm', exportName)),
        };
      },
      close: () => running.close(),
    };
  } catch (cause) {
    await running.close();
    throw cause;
  }
}

function nbdNode({ socketPath }: CopseNode, exportName: string) {
  return {
    driver: 'nbd',
    'node-name': 'disk',
    server: { type: 'unix', path: socketPath },
    export: exportName,
    'reconnect-delay': 30,
    cache: { direct: true, 'no-flush': false },
  };
}

async function untilAllIsThere(node: CopseNode, diskName: string): Promise<void> {
  for (const untilMs = performance.now() + completionTimeoutMs; ; await sleep(200)) {
    const status = await node.ask<DiskStatus>(`/v1/disks/${diskName}`);
    if (status.place === 'owner' && status.toCome.length === 0) return;
    if (performance.now() > untilMs) {
      throw new CopseError(foreignErrorCode('ERR_PROGRAM'), `${diskName} does not come to ${node.nodeId}: ${JSON.stringify(status)}`);
    }
  }
}
