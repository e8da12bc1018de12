/** Copse as an operator runs it: `copse serve`, by its command line and configuration file. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { copseCommand } from '../harness/place.js';
import { Program } from '../harness/program.js';
import type { RunningServer, ServerKind } from './server.js';

export interface CopseOptions {
  /** Export name to URL. */
  images: Readonly<Record<string, string>>;
  /** The daemon's default when absent. */
  chunkSizeBytes?: number | undefined;
  /** More of the command line. */
  flags?: readonly string[] | undefined;
  /** Where it runs: makes the command that starts it there. Default: here. */
  wrap?: ((command: string, args: readonly string[]) => { command: string; args: string[] }) | undefined;
}

export interface RunningCopse extends RunningServer {
  readonly adminSocketPath: string;
  /** Fetches all that is absent. */
  warm(exportName: string): Promise<void>;
}

/** Starts a daemon on `dir`, which may hold the state of an earlier one. The first image is `exportName`. */
export async function startCopse(dir: string, options: CopseOptions): Promise<RunningCopse> {
  const socketPath = join(dir, 'nbd.sock');
  const adminSocketPath = join(dir, 'admin.sock');
  const admin = `unix:${adminSocketPath}`;
  const configPath = join(dir, 'copse.toml');
  await writeFile(configPath, configuration(options));
  const images = Object.entries(options.images).flatMap(([name, url]) => ['--image', `${name}=${url}`]);
  const args = [
    copseCommand,
    'serve',
    ...['--config', configPath, '--state', join(dir, 'state'), '--listen', `unix:${socketPath}`, '--admin', admin],
    ...images,
    ...['--log-level', 'warn'],
    ...(options.flags ?? []),
  ];
  const program = await Program.start({
    ...(options.wrap?.(process.execPath, args) ?? { command: process.execPath, args }),
    logPath: join(dir, 'log'),
    readyText: 'copse: ready',
    readySocket: socketPath,
  });
  return {
    program,
    socketPath,
    adminSocketPath,
    exportName: Object.keys(options.images)[0] ?? '',
    close: () => program.close(),
    async warm(exportName) {
      await execa(process.execPath, [copseCommand, 'image', 'warm', exportName, '--admin', admin]);
    },
  };
}

function configuration({ chunkSizeBytes }: CopseOptions): string {
  const lines = ['[cache]', 'size = "40G"', 'min_free = "1%"'];
  if (chunkSizeBytes !== undefined) lines.push('[image_default]', `chunk_size = ${chunkSizeBytes}`);
  return `${lines.join('\n')}\n`;
}

export const copse: ServerKind = {
  name: 'copse',
  startCold: (dir, url) => startCopse(dir, { images: { image: url } }),
  async startWarm(dir, filePath) {
    const server = await startCopse(dir, { images: { image: filePath } });
    await server.warm('image');
    return server;
  },
};
