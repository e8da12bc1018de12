/** The disk stays where it is: on one NBD server (nbdkit over a raw file) of a third host, that both hosts' QEMUs use. Moving the VM moves its memory alone. */
import { cp, mkdtemp, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { Program } from '../../harness/program.js';
import type { MigrationContext, Way } from '../context.js';

const port = 10_901;

export async function sharedServer(context: MigrationContext): Promise<Way> {
  const { third, dirty, base } = context;
  const dir = await mkdtemp(join(context.workDir, 's'));
  const filePath = join(dir, 'disk.raw');
  await cp(dirty.path, filePath);
  await truncate(filePath, base.sizeBytes);
  const pidPath = join(dir, 'pid');
  const program = await Program.start({
    ...third.command('nbdkit', ['--foreground', '-P', pidPath, '-i', third.address, '-p', String(port), 'file', filePath]),
    logPath: join(dir, 'log'),
    readyFile: pidPath,
  });
  const node = {
    driver: 'nbd',
    'node-name': 'disk',
    server: { type: 'inet', host: third.address, port: String(port) },
    'reconnect-delay': 30,
    cache: { direct: true, 'no-flush': false },
  };
  return {
    name: 'shared',
    title: 'one shared NBD server (nbdkit)',
    async prepare() {
      return {
        atSource: [node],
        atDestination: [node],
        movedBytes: async () => 0,
        async completed() {},
        damage: async () => undefined,
        async close() {},
      };
    },
    async close() {
      await program.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
