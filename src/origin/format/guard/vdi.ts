/**
 * Guard of VDI: it refuses undo and differencing images, whose parent is named by UUID.
 *
 * Source: QEMU block/vdi.c, `VdiHeader`.
 */
import type { Inspect } from './inspection.js';
import { convertRemedy, malformed, refusal } from './refusal.js';

const signature = 0xbeda107f;
const selfContained: readonly number[] = [1 /* dynamic */, 2 /* fixed */];

export const inspectVdi: Inspect = async ({ url, read }) => {
  const header = await read(0, 512);
  if (header.length < 512 || header.readUInt32LE(0x40) !== signature) throw malformed(url, 'vdi', 'it has no VDI header');
  const parent = header.subarray(0x1b8, 0x1c8);
  if (!selfContained.includes(header.readUInt32LE(0x4c)) || parent.some((byte) => byte !== 0)) {
    throw refusal(url, `it holds only the differences to a parent with the UUID ${parent.toString('hex')}`, convertRemedy);
  }
  return {};
};
