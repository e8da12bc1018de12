/**
 * Guard of Parallels' expandable disks. The header names no other file. A DiskDescriptor.xml beside
 * it would, and is not read.
 *
 * Source: QEMU docs/interop/parallels.txt, "Header".
 */
import type { Inspect } from './inspection.js';
import { malformed } from './refusal.js';

const magics: readonly string[] = ['WithoutFreeSpace', 'WithouFreSpacExt'];

export const inspectParallels: Inspect = async ({ url, read }) => {
  const header = await read(0, 64);
  if (!magics.includes(header.toString('latin1', 0, 16))) throw malformed(url, 'parallels', 'it has no Parallels header');
  return {};
};
