/** Images for tests of manifests: some chunks of zeros, the rest telling their place. */
import { Manifest, ManifestBuilder } from '../../src/manifest/manifest.js';

export const chunkBytes = 65_536;

/** @param pattern one entry a chunk: 0 is zeros, anything else seeds its bytes */
export function sampleImage(sizeBytes: number, pattern: readonly number[]): Buffer {
  const image = Buffer.alloc(sizeBytes);
  pattern.forEach((seed, chunk) => {
    if (seed === 0) return;
    const end = Math.min(sizeBytes, (chunk + 1) * chunkBytes);
    for (let at = chunk * chunkBytes; at < end; at += 97) image[at] = 1 + ((seed * 31 + at) % 255);
  });
  return image;
}

export function chunkOf(image: Buffer, chunk: number): Buffer {
  return image.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes);
}

export function manifestOf(image: Buffer): Manifest {
  const builder = new ManifestBuilder({ sizeBytes: image.length, chunkBytes });
  for (let chunk = 0; chunk < builder.chunkCount; chunk += 1) builder.add(chunk, chunkOf(image, chunk));
  return builder.build();
}

/** As decoded by somebody who has the file only. */
export function reread(manifest: Manifest): Manifest {
  return Manifest.decode(Buffer.from(manifest.bytes), manifest.digest);
}
