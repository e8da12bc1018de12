/** Bytes that tell where they belong: any shift, mix or gap shows. Deterministic. */

/** Pseudo-random bytes (xorshift32), never a run of zeros. */
export function pattern(lengthBytes: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(lengthBytes / 4));
  let state = (Math.imul(seed, 0x9e3779b1) | 1) >>> 0;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer, 0, lengthBytes);
}

const mebibyte = 1024 * 1024;

/** The image of the conformance suite: data, a hole of 1 MiB, data, and an end that no block size divides. */
export const imageHole = { holeStart: mebibyte, holeEnd: 2 * mebibyte } as const;

export function imageBytes(): Buffer {
  const bytes = pattern(3 * mebibyte + 777, 7);
  bytes.fill(0, imageHole.holeStart, imageHole.holeEnd);
  return bytes;
}

/** Of the read-write file: more than the maximum payload, and no multiple of it. */
export const fileSizeBytes = 40 * mebibyte;
