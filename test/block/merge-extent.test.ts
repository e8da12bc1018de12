/** Merged extents against a list of bytes. */
import fc from 'fast-check';
import t from 'tap';
import { mergeExtent } from '../../src/block/merge-extent.js';

interface Part {
  lengthBytes: number;
  zero: boolean;
}

t.test('merging keeps every byte and leaves no neighbours alike', async () => {
  const part = fc.record({ lengthBytes: fc.integer({ min: 1, max: 5 }), zero: fc.boolean() });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), fc.integer({ min: 1, max: 8 }), (parts, maxCount) => {
      const merged: Part[] = [];
      let taken = 0;
      for (const { lengthBytes, zero } of parts) {
        const before = structuredClone(merged);
        const isTaken = mergeExtent(merged, { lengthBytes, zero }, (last) => last.zero === zero, maxCount);
        if (!isTaken) return merged.length === maxCount && same(merged, before) && merged.at(-1)?.zero !== zero;
        taken += 1;
      }
      const isShort = merged.every(({ zero }, index) => merged[index - 1]?.zero !== zero) && merged.length <= maxCount;
      return isShort && taken === parts.length && same(bytesOf(merged), bytesOf(parts));
    }),
    { numRuns: 2000 },
  );
});

function bytesOf(parts: readonly Part[]): boolean[] {
  return parts.flatMap(({ lengthBytes, zero }) => Array.from({ length: lengthBytes }, () => zero));
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
