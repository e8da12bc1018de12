/** What goes on in a daemon beside the hits that are measured. Each goes on until its `close`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Closeable } from '../../../src/base/lifecycle.js';
import { KiB } from '../../../src/base/size.js';
import { defaults } from '../../../src/config/schema.js';
import type { Inspector } from '../harness/inspector.js';
import { copseCommand } from '../harness/place.js';
import { shuffled } from '../harness/statistic.js';
import type { RunningCopse } from '../server/copse.js';
import { connectReader } from './nbd-reader.js';

/** Its JavaScript stands still for a second, runs for 50 ms, and so on. */
export function blockTheLoop(inspector: Inspector): Closeable {
  let over = false;
  const ended = (async () => {
    while (!over) {
      await inspector.block(1_000);
      await sleep(50);
    }
  })();
  ended.catch(() => {}); // told by close
  return {
    async close() {
      over = true;
      await ended;
    },
  };
}

/** Clients of another export that all wait for chunks which nobody has. @param chunkCount of the export */
export async function waitForOrigin(server: RunningCopse, exportName: string, chunkCount: number, seed: number): Promise<Closeable> {
  const clients = await Promise.all(Array.from({ length: 8 }, () => connectReader({ socketPath: server.socketPath, exportName })));
  const chunks = shuffled(chunkCount, seed);
  let over = false;
  const lane = async (client: (typeof clients)[number]): Promise<void> => {
    while (!over) {
      const chunk = chunks.pop();
      if (chunk === undefined) return;
      await client.read(chunk * defaults.imageDefault.chunkSizeBytes, 4 * KiB);
    }
  };
  const lanes = Promise.all(clients.flatMap((client) => Array.from({ length: 4 }, () => lane(client))));
  lanes.catch(() => {}); // told by close
  return {
    async close() {
      over = true;
      await lanes;
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

/** A new image is fetched as fast as it goes, and is gone afterwards. Resolves when it has begun. */
export async function fillAnImage(server: RunningCopse, name: string, url: string): Promise<Closeable> {
  const copse = (...args: string[]) =>
    execa(process.execPath, [copseCommand, 'image', ...args, '--admin', `unix:${server.adminSocketPath}`], { reject: args[0] !== 'warm' });
  await copse('add', name, url);
  const before = await server.program.cpuSeconds();
  const warm = copse('warm', name);
  while ((await server.program.cpuSeconds()) - before < 0.2) await sleep(20);
  return {
    async close() {
      warm.kill('SIGINT'); // it stops, and what was fetched stays
      await warm;
      await copse('rm', name);
    },
  };
}
