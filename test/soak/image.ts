/** The image below the disks: each sector says that it is one of the image. */
import { writeFile } from 'node:fs/promises';
import { fillSectors, imageVersion } from './pattern.js';

/** @param sizeBytes a multiple of 512 */
export async function writeImage(path: string, sizeBytes: number): Promise<void> {
  const bytes = Buffer.alloc(sizeBytes);
  fillSectors(bytes, 0, 0, imageVersion);
  await writeFile(path, bytes);
}
