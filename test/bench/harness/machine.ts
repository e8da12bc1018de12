/** Where and with what figures were measured: without it they mean nothing. */
import { cpus, release, totalmem } from 'node:os';
import { execa } from 'execa';
import { formatSize } from '../../../src/base/size.js';
import { packageRoot } from './place.js';

export interface Machine {
  date: string;
  cpu: string;
  memory: string;
  kernel: string;
  node: string;
  commit: string;
  programs: Record<string, string>;
}

export async function describeMachine(): Promise<Machine> {
  const firstLine = async (command: string, ...args: string[]): Promise<string> => {
    const { all = '' } = await execa(command, args, { reject: false, all: true, cwd: packageRoot });
    return all.split('\n')[0] ?? '';
  };
  return {
    date: new Date().toISOString(),
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    memory: formatSize(totalmem()),
    kernel: release(),
    node: process.version,
    commit: await firstLine('git', 'rev-parse', '--short', 'HEAD'),
    programs: {
      nginx: await firstLine('/usr/sbin/nginx', '-v'),
      nbdkit: await firstLine('nbdkit', '--version'),
      qemu: await firstLine('qemu-nbd', '--version'),
      fio: await firstLine('fio', '--version'),
    },
  };
}
