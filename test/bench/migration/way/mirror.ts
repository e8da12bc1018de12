/**
 * QEMU's own storage migration, as `virsh migrate --copy-storage-inc` drives it: both hosts have the image, the source's qcow2 overlay is mirrored to an NBD server in the destination's
 * QEMU; when it has caught up the VM is moved.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Program } from '../../harness/program.js';
import { createQcow2 } from '../../server/disk-server.js';
import type { MigrationContext, Way } from '../context.js';
import { ByteCount } from '../lab/byte-count.js';
import type { BlockNode } from '../lab/vm.js';
import { writeDirty } from './dirty-disk.js';

const port = 10_902;
const server = (host: string) => ({ host, port: String(port) });

export async function driveMirror(context: MigrationContext): Promise<Way> {
  const { base, dirty, destination } = context;
  const dir = await mkdtemp(join(context.workDir, 'm'));
  const count = await ByteCount.start(destination, port);
  const sourcePath = join(dir, 'source.qcow2');
  const destinationPath = join(dir, 'destination.qcow2');
  const node = (overlayPath: string): BlockNode[] => [
    {
      driver: 'qcow2',
      'node-name': 'disk',
      file: { driver: 'file', filename: overlayPath },
      backing: { driver: 'raw', file: { driver: 'file', filename: base.path } },
    },
  ];
  await createQcow2(sourcePath, base.path);
  await throughQemuNbd(dir, sourcePath, (target) => writeDirty(target, dirty));
  return {
    name: 'mirror',
    title: "QEMU's drive-mirror",
    async prepare() {
      await createQcow2(destinationPath, base.path);
      const before = await count.bytes();
      return {
        atSource: node(sourcePath),
        atDestination: node(destinationPath),
        async beforeMigration(from, to) {
          await to.monitor.execute('nbd-server-start', { addr: { type: 'inet', data: server(destination.address) } });
          await to.monitor.execute('block-export-add', { type: 'nbd', id: 'export', 'node-name': 'disk', name: 'disk', writable: true });
          const target = { driver: 'nbd', 'node-name': 'target', server: { type: 'inet', ...server(destination.address) }, export: 'disk' };
          await from.monitor.execute('blockdev-add', target);
          await from.monitor.execute('blockdev-mirror', { 'job-id': 'mirror', device: 'disk', target: 'target', sync: 'top' });
          await from.monitor.event('BLOCK_JOB_READY');
        },
        async atSwitchover(from, to) {
          await from.monitor.execute('block-job-cancel', { device: 'mirror' });
          await from.monitor.event('JOB_STATUS_CHANGE', ({ id, status }) => id === 'mirror' && status === 'null');
          await to.monitor.execute('nbd-server-stop');
        },
        movedBytes: async () => (await count.bytes()) - before,
        async completed() {},
        damage: async () => undefined,
        close: () => rm(destinationPath),
      };
    },
    close: () => rm(dir, { recursive: true, force: true }),
  };
}

async function throughQemuNbd(
  dir: string,
  overlayPath: string,
  use: (target: { socketPath: string; exportName: string }) => Promise<void>,
): Promise<void> {
  const socketPath = join(dir, 'fill.sock');
  const args = ['--persistent', `--socket=${socketPath}`, '--format=qcow2', overlayPath];
  const program = await Program.start({ command: 'qemu-nbd', args, logPath: join(dir, 'fill.log'), readySocket: socketPath });
  try {
    await use({ socketPath, exportName: '' });
  } finally {
    await program.close();
  }
}
