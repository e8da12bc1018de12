/** The wire with latency: `relay.c`, compiled when it is first needed. */
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { Closeable } from '../../src/base/lifecycle.js';

/** In the source tree: tsc copies no C. Seen from dist/test/lab. */
const sourcePath = fileURLToPath(new URL('../../../test/lab/relay.c', import.meta.url));

/** Kept between runs, by what it was made of. */
async function relayProgram(): Promise<string> {
  const source = await readFile(sourcePath);
  const dir = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'copse', 'lab');
  const path = join(dir, `relay-${createHash('sha256').update(source).digest('hex').slice(0, 12)}`);
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    await mkdir(dir, { recursive: true });
    const partial = `${path}.${process.pid}`;
    await execa('gcc', ['-O2', '-Wall', '-o', partial, sourcePath]);
    await rename(partial, path);
  }
  return path;
}

export interface WireEnd {
  netns: string;
  device: string;
}

export interface Relay extends Closeable {
  /** For its CPU time. */
  readonly pid: number;
}

/** Resolves once both devices exist. It ends with this process at the latest. */
export async function startRelay(a: WireEnd, b: WireEnd, oneWayMs: number): Promise<Relay> {
  const args = [a.netns, a.device, b.netns, b.device, String(Math.round(oneWayMs * 1000))];
  const child = execa(await relayProgram(), args, { stdin: 'ignore', buffer: false, reject: false });
  const ready = new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  let trouble = '';
  child.stderr.on('data', (piece: Buffer) => {
    trouble = `${trouble}${piece.toString()}`.slice(-2000);
  });
  const outcome = await Promise.race([ready, child]);
  const { pid } = child;
  if (outcome !== undefined || pid === undefined) throw new Error(`the relay ended: ${trouble}`);
  return {
    pid,
    async close() {
      child.kill('SIGKILL');
      await child;
    },
  };
}
