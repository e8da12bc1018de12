/** The yardstick for a chunk from a peer: nbdkit serves a file on one host, another nbdkit passes it on to clients of a second host. Nothing is kept. */
import { join } from 'node:path';
import { Lifecycle } from '../../../../src/base/lifecycle.js';
import type { LabPlace } from '../../../lab/place.js';
import { Program } from '../../harness/program.js';
import type { RunningServer } from '../../server/server.js';

const port = 10_900;

/** @param dir exists, and is the pair's alone @param from has the file @param to where the clients are */
export async function startPlainRemote(dir: string, filePath: string, from: LabPlace, to: LabPlace): Promise<RunningServer> {
  const running = new Lifecycle();
  try {
    const pidPath = join(dir, 'far.pid'); // written once it listens
    const farArgs = ['--foreground', '--readonly', '-P', pidPath, '-i', from.address, '-p', String(port), 'file', filePath];
    running.own(await Program.start({ ...from.command('nbdkit', farArgs), logPath: join(dir, 'far.log'), readyFile: pidPath }));
    const socketPath = join(dir, 'near.sock');
    const nearArgs = ['--foreground', '--readonly', '--unix', socketPath, 'nbd', `hostname=${from.address}`, `port=${port}`];
    const program = running.own(
      await Program.start({ ...to.command('nbdkit', nearArgs), logPath: join(dir, 'near.log'), readySocket: socketPath }),
    );
    return { program, socketPath, exportName: '', close: () => running.close() };
  } catch (cause) {
    await running.close();
    throw cause;
  }
}
