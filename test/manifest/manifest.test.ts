/** What a manifest says of its image and of no other, and everything that is no manifest. */
import fc from 'fast-check';
import t from 'tap';
import { blake3Of, digestOf } from '../../src/base/digest.js';
import { maxChunkCount } from '../../src/manifest/format.js';
import { Manifest, ManifestBuilder } from '../../src/manifest/manifest.js';
import { chunkBytes, chunkOf, manifestOf, reread, sampleImage } from './sample.js';

const image = sampleImage(4 * chunkBytes + 100, [1, 0, 2, 3, 4]);

t.test('the bytes are those of the documented format', async (t) => {
  const { bytes, digest } = manifestOf(image);
  t.equal(bytes.length, 32 + 5 * 32);
  t.equal(bytes.toString('latin1', 0, 16), 'copse-manifest\r\n');
  t.same([bytes.readUInt32LE(16), bytes.readUInt32LE(20), bytes.readBigUInt64LE(24)], [1, chunkBytes, BigInt(image.length)]);
  t.ok(bytes.subarray(32, 64).equals(blake3Of(chunkOf(image, 0))));
  t.ok(bytes.subarray(64, 96).equals(Buffer.alloc(32)), 'a chunk of zeros is marked');
  t.ok(bytes.subarray(160).equals(blake3Of(image.subarray(4 * chunkBytes))), 'the last chunk is as short as it is');
  t.equal(digest, digestOf(bytes));
});

t.test('digests are BLAKE3', async (t) => {
  // Of the BLAKE3 project's own test vectors.
  t.equal(digestOf(Buffer.alloc(0)), 'blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262');
  t.equal(digestOf(Buffer.from([0])), 'blake3:2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213');
});

t.test('it knows its image: every chunk, and no changed one', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: chunkBytes }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (pattern, lastBytes, where, flip) => {
        const sizeBytes = (pattern.length - 1) * chunkBytes + lastBytes;
        const image = sampleImage(sizeBytes, pattern);
        const manifest = reread(manifestOf(image));
        for (let chunk = 0; chunk < pattern.length; chunk += 1) {
          const bytes = chunkOf(image, chunk);
          if (!manifest.matches(chunk, bytes)) return false;
          if (manifest.isZero(chunk) !== bytes.every((byte) => byte === 0)) return false;
          if (manifest.lengthOf(chunk) !== bytes.length) return false;
          const wrong = Buffer.from(bytes);
          const at = where % wrong.length;
          wrong[at] = (wrong[at] ?? 0) ^ flip;
          if (manifest.matches(chunk, wrong)) return false;
          if (manifest.matches(chunk, bytes.subarray(0, -1)) || manifest.matches(chunk, Buffer.concat([bytes, Buffer.alloc(1)])))
            return false;
        }
        return manifest.sizeBytes === sizeBytes && manifest.chunkCount === pattern.length && manifest.chunkBytes === chunkBytes;
      },
    ),
    { numRuns: 60 },
  );
  t.pass('held');
  t.end();
});

t.test('a chunk in the place of another is wrong', async (t) => {
  const manifest = manifestOf(image);
  t.notOk(manifest.matches(0, chunkOf(image, 2)));
  t.notOk(manifest.matches(1, chunkOf(image, 2)));
  t.notOk(manifest.matches(2, Buffer.alloc(chunkBytes)));
  for (const chunk of [-1, 5, 0.5, Number.NaN]) t.throws(() => manifest.matches(chunk, chunkOf(image, 0)), RangeError);
});

t.test('any flipped bit, cut or appendix is noticed by who knows the digest', (t) => {
  const { bytes, digest } = manifestOf(image);
  fc.assert(
    fc.property(fc.nat({ max: bytes.length * 8 - 1 }), (bit) => {
      const broken = Buffer.from(bytes);
      broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return codeOf(() => Manifest.decode(broken, digest)) === 'ERR_DIGEST_MISMATCH';
    }),
  );
  for (let length = 0; length < bytes.length; length += 1) {
    if (codeOf(() => Manifest.decode(bytes.subarray(0, length), digest)) !== 'ERR_DIGEST_MISMATCH') t.fail(`cut to ${length}`);
  }
  t.pass('held');
  t.end();
});

t.test('without a digest, what is no manifest is refused still, before anything is allocated', (t) => {
  const { bytes } = manifestOf(image);
  for (let length = 0; length < bytes.length; length += 1) {
    if (codeOf(() => Manifest.decode(bytes.subarray(0, length))) !== 'ERR_MANIFEST') t.fail(`cut to ${length}`);
  }
  const changed = (change: (bytes: Buffer) => void): string | undefined => {
    const copy = Buffer.from(bytes);
    change(copy);
    return codeOf(() => Manifest.decode(copy));
  };
  const refused: Record<string, (bytes: Buffer) => void> = {
    magic: (copy) => copy.writeUInt8(0x43, 0),
    'line end turned by a transfer as text': (copy) => copy.writeUInt8(0x0a, 14),
    'version 0': (copy) => copy.writeUInt32LE(0, 16),
    'version 2': (copy) => copy.writeUInt32LE(2, 16),
    'chunk size 0': (copy) => copy.writeUInt32LE(0, 20),
    'chunks of 32K': (copy) => copy.writeUInt32LE(32_768, 20),
    'chunks of 2M': (copy) => copy.writeUInt32LE(2 ** 21, 20),
    'chunks of no power of two': (copy) => copy.writeUInt32LE(98_304, 20),
    'other chunk size': (copy) => copy.writeUInt32LE(2 * chunkBytes, 20),
    'size 0': (copy) => copy.writeBigUInt64LE(0n, 24),
    'a chunk more': (copy) => copy.writeBigUInt64LE(BigInt(5 * chunkBytes + 1), 24),
    'a chunk less': (copy) => copy.writeBigUInt64LE(BigInt(4 * chunkBytes), 24),
    'a size of exabytes': (copy) => copy.writeBigUInt64LE(2n ** 63n, 24),
    'a size beyond all chunks': (copy) => copy.writeBigUInt64LE(2n ** 50n, 24),
    'zeros with a digest of their own': (copy) => blake3Of(Buffer.alloc(chunkBytes)).copy(copy, 64),
    'short zeros with a digest of their own': (copy) => blake3Of(Buffer.alloc(100)).copy(copy, 160),
  };
  for (const [what, change] of Object.entries(refused)) t.equal(changed(change), 'ERR_MANIFEST', what);
  t.equal(
    codeOf(() => Manifest.decode(Buffer.concat([bytes, Buffer.alloc(1)]))),
    'ERR_MANIFEST',
    'trailing byte',
  );
  t.equal(
    codeOf(() => Manifest.decode(Buffer.concat([bytes, Buffer.alloc(32)]))),
    'ERR_MANIFEST',
    'trailing digest',
  );
  t.pass('held');
  t.end();
});

t.test('any bytes at all: a manifest or ERR_MANIFEST', (t) => {
  const head = manifestOf(image).bytes.subarray(0, 24);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (tail, withHead) => {
      const code = codeOf(() => Manifest.decode(Buffer.concat([withHead ? head : Buffer.alloc(0), tail])));
      return code === undefined || code === 'ERR_MANIFEST';
    }),
    { numRuns: 500 },
  );
  t.pass('held');
  t.end();
});

t.test('one image has one manifest', async (t) => {
  const builder = new ManifestBuilder({ sizeBytes: image.length, chunkBytes });
  for (const chunk of [4, 2, 3, 0]) builder.add(chunk, chunkOf(image, chunk));
  t.throws(() => builder.build(), RangeError, 'a chunk is missing');
  t.throws(() => builder.add(1, Buffer.alloc(100)), RangeError, 'too short');
  const other = new ManifestBuilder({ sizeBytes: image.length, chunkBytes });
  for (const chunk of [0, 2, 3, 4]) other.add(chunk, chunkOf(image, chunk));
  other.addZero(1);
  t.throws(() => other.addZero(1), RangeError, 'twice');
  t.throws(() => other.addZero(5), RangeError, 'beyond the end');
  t.equal(other.build().digest, manifestOf(image).digest);
});

t.test('images that can have no manifest', async (t) => {
  const build = (sizeBytes: number, chunkBytes: number) => () => new ManifestBuilder({ sizeBytes, chunkBytes });
  t.throws(build(0, chunkBytes), { code: 'ERR_MANIFEST' });
  t.throws(build(1000, 4096), { code: 'ERR_MANIFEST' });
  t.throws(build(maxChunkCount * chunkBytes + 1, chunkBytes), { code: 'ERR_MANIFEST' });
});

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}
