/** Guard of QED: the backing file's name. Source: QEMU docs/interop/qed_spec.txt, "Header". */
import type { Inspect } from './inspection.js';
import { malformed } from './refusal.js';

const magic = 0x00444551;
const maxNameBytes = 1023;
const feature = { backingFile: 1n, backingNoProbe: 4n };

export const inspectQed: Inspect = async ({ url, read }) => {
  const header = await read(0, 64);
  if (header.length < 64 || header.readUInt32LE(0) !== magic) throw malformed(url, 'qed', 'it has no QED header');
  const features = header.readBigUInt64LE(16);
  if ((features & feature.backingFile) === 0n) return {};
  const offset = header.readUInt32LE(56);
  const lengthBytes = header.readUInt32LE(60);
  if (lengthBytes === 0 || lengthBytes > maxNameBytes) throw malformed(url, 'qed', `its backing file name has ${lengthBytes} bytes`);
  const name = await read(offset, lengthBytes);
  if (name.length !== lengthBytes) throw malformed(url, 'qed', 'its backing file name is cut off');
  const removed = Buffer.alloc(8);
  removed.writeBigUInt64LE(features & ~(feature.backingFile | feature.backingNoProbe));
  return { backing: { name: name.toString('utf8'), removal: { offset: 16, bytes: removed } } };
};
