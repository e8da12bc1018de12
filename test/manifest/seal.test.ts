/** A lap over an image that may come in any pieces and any order of answers, fail, or be given up. */

import t from 'tap';
import { AbortedError } from '../../src/base/error.js';
import type { SourceReadOptions } from '../../src/block/read-options.js';
import type { RangeSink } from '../../src/block/sink.js';
import { seal } from '../../src/manifest/seal.js';
import { chunkBytes, manifestOf, sampleImage } from './sample.js';

const sizeBytes = 70 * chunkBytes + 17;
const image = sampleImage(sizeBytes, [...Array.from({ length: 70 }, (_, index) => index % 4), 9]);
const header = { sizeBytes, chunkBytes };

/** Answers later reads first, in odd pieces, with zeros told where there are some. */
class ShufflingSource {
  readCount = 0;
  #held: (() => void)[] = [];

  async read(offset: number, lengthBytes: number, sink: RangeSink): Promise<void> {
    this.readCount += 1;
    const end = offset + lengthBytes;
    await new Promise<void>((resolve) => {
      this.#held.unshift(resolve);
      setImmediate(() => this.#held.shift()?.());
    });
    for (let at = offset; at < end; ) {
      const piece = Buffer.from(image.subarray(at, Math.min(end, at + 50_021)));
      at += piece.length;
      if (piece.every((byte) => byte === 0)) sink.zeroes(piece.length);
      else sink.data(piece);
      piece.fill(0xee);
    }
  }
}

t.test('the manifest is that of the image', async (t) => {
  const seen: number[] = [];
  const manifest = await seal(new ShufflingSource(), header, { onProgress: (doneBytes) => seen.push(doneBytes) });
  t.equal(manifest.digest, manifestOf(image).digest);
  t.ok(seen.every((doneBytes, index) => doneBytes > (seen[index - 1] ?? 0)));
  t.equal(seen.at(-1), sizeBytes);
});

t.test('a read that fails ends it, and the others with it', async (t) => {
  const failure = new Error('gone');
  let aborted = 0;
  let count = 0;
  const source = {
    read: (_offset: number, _lengthBytes: number, _sink: RangeSink, { signal }: SourceReadOptions): Promise<void> => {
      count += 1;
      if (count === 3) return Promise.reject(failure);
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          aborted += 1;
          reject(new AbortedError('read'));
        });
      });
    },
  };
  await t.rejects(seal(source, header), failure);
  t.ok(aborted >= 2);
  t.equal(aborted, count - 1, 'nobody reads on');
});

t.test('it can be given up', async (t) => {
  const abort = new AbortController();
  const source = new ShufflingSource();
  await t.rejects(seal(source, header, { signal: abort.signal, onProgress: () => abort.abort() }), { code: 'ERR_ABORTED' });
  const idle = new ShufflingSource();
  await t.rejects(seal(idle, header, { signal: abort.signal }), { code: 'ERR_ABORTED' });
  t.equal(idle.readCount, 0);
});

t.test('a source that sends less than it should is noticed', async (t) => {
  const source = { read: (_offset: number, _lengthBytes: number, sink: RangeSink) => Promise.resolve(sink.zeroes(5)) };
  await t.rejects(seal(source, header), { code: 'ERR_ORIGIN_PROTOCOL' });
});
