/** However the bytes come: whole right chunks go through, and nothing from the first wrong one on. */

import fc from 'fast-check';
import t from 'tap';
import type { RangeSink } from '../../src/block/sink.js';
import { ManifestMismatchError, VerifyingSink } from '../../src/manifest/verifying-sink.js';
import { chunkBytes, manifestOf, reread, sampleImage } from './sample.js';

/** Keeps copies, as a sink must. */
class Collector implements RangeSink {
  readonly pieces: { bytes: Buffer; zero: boolean }[] = [];

  data(piece: Buffer): void {
    this.pieces.push({ bytes: Buffer.from(piece), zero: false });
  }

  zeroes(lengthBytes: number): void {
    this.pieces.push({ bytes: Buffer.alloc(lengthBytes), zero: true });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.pieces.map(({ bytes }) => bytes));
  }
}

/** Sends `image` in pieces of the given lengths, over and over; runs of zeros as such where the piece is one and `tellsZeros`. */
function send(sink: RangeSink, image: Buffer, lengths: readonly number[], tellsZeros: boolean): void {
  for (let at = 0, turn = 0; at < image.length; turn += 1) {
    const piece = Buffer.from(image.subarray(at, at + (lengths[turn % lengths.length] ?? 1)));
    at += piece.length;
    if (tellsZeros && piece.every((byte) => byte === 0)) sink.zeroes(piece.length);
    else {
      sink.data(piece);
      piece.fill(0xee);
    }
  }
}

const pattern = fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 6 });
const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 3 * chunkBytes }), fc.constantFrom(chunkBytes, 2 * chunkBytes, 1000)), {
  minLength: 1,
  maxLength: 8,
});
const enough = (pieces: number[]): boolean => pieces.reduce((sum, length) => sum + length, 0) > 4000;

t.test('right bytes arrive whole, in whole chunks, however they were cut', (t) => {
  fc.assert(
    fc.property(
      pattern,
      fc.integer({ min: 1, max: chunkBytes }),
      lengths.filter(enough),
      fc.boolean(),
      fc.nat(),
      (seeds, last, cuts, zeros, from) => {
        const image = sampleImage((seeds.length - 1) * chunkBytes + last, seeds);
        const start = (from % seeds.length) * chunkBytes;
        const collector = new Collector();
        const sink = new VerifyingSink(collector, reread(manifestOf(image)), start, image.length - start);
        send(sink, image.subarray(start), cuts, zeros);
        return (
          sink.isComplete &&
          collector.bytes.equals(image.subarray(start)) &&
          collector.pieces.every(({ bytes }) => bytes.length % chunkBytes === 0 || bytes.length === last)
        );
      },
    ),
    { numRuns: 100 },
  );
  t.pass('held');
  t.end();
});

t.test('from the first wrong chunk on nothing passes, and the error names it', (t) => {
  fc.assert(
    fc.property(pattern, lengths.filter(enough), fc.nat(), fc.boolean(), (seeds, cuts, where, zeros) => {
      const image = sampleImage(seeds.length * chunkBytes, seeds);
      const wrong = Buffer.from(image);
      const at = where % wrong.length;
      wrong[at] = (wrong[at] ?? 0) ^ 0x10;
      const chunk = Math.floor(at / chunkBytes);
      const collector = new Collector();
      const sink = new VerifyingSink(collector, manifestOf(image), 0, image.length);
      try {
        send(sink, wrong, cuts, zeros);
        return false;
      } catch (error) {
        if (!(error instanceof ManifestMismatchError) || error.code !== 'ERR_DIGEST_MISMATCH' || error.chunkIndex !== chunk) return false;
      }
      return sink.verifiedBytes === chunk * chunkBytes && collector.bytes.equals(image.subarray(0, sink.verifiedBytes)) && !sink.isComplete;
    }),
    { numRuns: 100 },
  );
  t.pass('held');
  t.end();
});

t.test('zeros are passed as zeros, told or sent; told zeros that are none are wrong', async (t) => {
  const image = sampleImage(3 * chunkBytes, [1, 0, 2]);
  const collector = new Collector();
  const sink = new VerifyingSink(collector, manifestOf(image), 0, image.length);
  sink.data(image);
  t.same(
    collector.pieces.map(({ zero }) => zero),
    [false, true, false],
  );
  const told = new VerifyingSink(new Collector(), manifestOf(image), chunkBytes, 2 * chunkBytes);
  t.throws(() => told.zeroes(2 * chunkBytes), { code: 'ERR_DIGEST_MISMATCH', chunkIndex: 2 });
  t.equal(told.verifiedBytes, chunkBytes);
});

t.test('a read that broke off goes on from another source where the first one was right', async (t) => {
  const image = sampleImage(3 * chunkBytes + 5, [1, 2, 3, 4]);
  const manifest = manifestOf(image);
  const collector = new Collector();
  const first = new VerifyingSink(collector, manifest, 0, image.length);
  first.data(image.subarray(0, chunkBytes + 700));
  first.release();
  t.throws(() => first.data(image.subarray(0, 1)), RangeError);
  t.equal(first.verifiedBytes, chunkBytes);
  const second = new VerifyingSink(collector, manifest, first.verifiedBytes, image.length - first.verifiedBytes);
  second.data(image.subarray(chunkBytes, chunkBytes + 100));
  second.data(image.subarray(chunkBytes + 100));
  t.ok(second.isComplete);
  t.ok(collector.bytes.equals(image));
});

t.test('an error of the sink behind passes as it is', async (t) => {
  const image = sampleImage(2 * chunkBytes, [1, 2]);
  const failure = new Error('full');
  const sink = new VerifyingSink(
    {
      data() {
        throw failure;
      },
      zeroes() {},
    },
    manifestOf(image),
    0,
    image.length,
  );
  sink.data(image.subarray(0, 100));
  t.throws(() => sink.data(image.subarray(100, chunkBytes)), failure);
  t.equal(sink.verifiedBytes, 0);
});

t.test('wrong use is refused', async (t) => {
  const image = sampleImage(2 * chunkBytes, [1, 2]);
  const manifest = manifestOf(image);
  t.throws(() => new VerifyingSink(new Collector(), manifest, 100, chunkBytes), RangeError);
  const sink = new VerifyingSink(new Collector(), manifest, 0, chunkBytes);
  t.throws(() => sink.data(image), RangeError, 'more than was asked for');
  t.throws(() => sink.zeroes(chunkBytes + 1), RangeError, 'more than was asked for');
});
