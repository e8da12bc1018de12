/** QEMU by qemu-nbd: its copy-on-read driver over a qcow2 overlay of the HTTP origin, and the raw file. */
import { join } from 'node:path';
import { execa } from 'execa';
import { freePort } from '../harness/free-port.js';
import { Program } from '../harness/program.js';
import type { RunningServer, ServerKind } from './server.js';

async function start(dir: string, args: string[]): Promise<RunningServer> {
  const socketPath = join(dir, 'nbd.sock');
  const program = await Program.start({
    command: 'qemu-nbd',
    args: ['--persistent', '--shared=0', `--socket=${socketPath}`, ...args],
    logPath: join(dir, 'log'),
    readySocket: socketPath,
  });
  return { program, socketPath, exportName: '', close: () => program.close() };
}

/** The raw file, by TCP. */
export async function startTcpQemu(dir: string, filePath: string): Promise<RunningServer> {
  const port = await freePort();
  const program = await Program.start({
    command: 'qemu-nbd',
    args: ['--persistent', '--shared=0', '--bind=127.0.0.1', `--port=${port}`, '--read-only', '--format=raw', filePath],
    logPath: join(dir, 'log'),
    readySocket: port,
  });
  return { program, socketPath: '', port, exportName: '', close: () => program.close() };
}

export const qemu: ServerKind = {
  name: 'qemu',
  async startCold(dir, url) {
    const overlay = join(dir, 'overlay.qcow2');
    await execa('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', url, '-F', 'raw', overlay]);
    const options = `driver=copy-on-read,file.driver=qcow2,file.file.driver=file,file.file.filename=${overlay}`;
    return start(dir, ['--image-opts', options]);
  },
  startWarm: (dir, filePath) => start(dir, ['--read-only', '--format=raw', filePath]),
};
