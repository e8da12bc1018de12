/**
 * 500 clients that asked for 64 MiB each and read nothing delayed the next client's first read by 9.9 s, and 930 MiB stayed
 * resident after they had gone: the daemon made replies for clients that were dead, and what it dropped waited for a garbage
 * collection that never came.
 *
 * COPSE_TEST_CLIENTS sets the number of clients (12 unless given, which are enough to take all request memory).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Daemon } from '../fault/daemon.js';
import { shortDir } from '../support/short-dir.js';

const clientCount = Number(process.env['COPSE_TEST_CLIENTS'] ?? 12);
const sizeBytes = 64 * 2 ** 20;
const pieceBytes = 2 ** 20;
/** What may stay resident a minute after the clients have gone. */
const maxLeftBytes = 100 * 2 ** 20;
const leftAfterMs = 60_000;

for (const fastPath of [true, false]) {
  t.test(`clients that read nothing, ${fastPath ? 'with' : 'without'} the fast path`, (t) => play(t, fastPath));
}

async function play(t: Test, fastPath: boolean): Promise<void> {
  const folder = shortDir(t);
  const origin = join(folder, 'origin.raw');
  writeFileSync(origin, Buffer.alloc(sizeBytes, 5));
  const daemon = await Daemon.start(t, { images: { image: `file://${origin}` }, chunkSize: '1M', fastPath });
  const warm = await daemon.attach('image');
  for (let offset = 0; offset < sizeBytes; offset += pieceBytes) await warm.read(offset, pieceBytes);
  const beforeBytes = daemon.residentBytes();
  const clients = [];
  for (let count = 0; count < clientCount; count += 1) {
    const client = await daemon.attach('image');
    client.bytes.stream.pause();
    for (let offset = 0; offset < sizeBytes; offset += pieceBytes) client.send({ type: 0, offset, lengthBytes: pieceBytes });
    clients.push(client);
  }
  const next = await daemon.attach('image');
  const startMs = performance.now();
  t.equal((await next.read(4096, 4096)).data[0], 5);
  t.comment(`the next client's first read took ${Math.round(performance.now() - startMs)} ms`);
  t.comment(`${Math.round((daemon.residentBytes() - beforeBytes) / 2 ** 20)} MiB more are resident`);
  for (const client of clients) client.bytes.destroy();
  const endMs = performance.now() + leftAfterMs;
  const isLeft = (): boolean => daemon.residentBytes() - beforeBytes > maxLeftBytes;
  while (isLeft() && performance.now() < endMs) await new Promise((resolve) => setTimeout(resolve, 50));
  t.notOk(isLeft(), `${Math.round((daemon.residentBytes() - beforeBytes) / 2 ** 20)} MiB more stay resident`);
  t.equal((await next.read(8192, 4096)).data[0], 5, 'and the others are served');
}
