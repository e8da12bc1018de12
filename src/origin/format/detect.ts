/**
 * Detects an image file's format by its first 64 KiB and last 512 bytes. The rules are QEMU's, and
 * one more: QEMU takes a VHD of fixed size for raw.
 *
 * A guest that can write to a raw disk can write any header into it. Here images are read-only and
 * named by the operator, and no format can name a file that the operator did not. For an image that
 * a guest wrote, `--format raw` pins the format.
 */
import { headBytes, type ReadContent } from './content.js';

const footerBytes = 512;

interface Signature {
  format: string;
  offset: number;
  bytes: Buffer;
}

const signature = (format: string, bytes: string | number[], offset = 0): Signature => ({
  format,
  offset,
  bytes: typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes),
});

/**
 * Sources: QEMU's docs/interop (qcow2, qed, parallels) and block drivers, the VMDK, VHD and VHDX
 * specifications.
 */
const signatures: readonly Signature[] = [
  signature('qcow', 'QFI\xfb\0\0\0\x01'),
  signature('qcow2', 'QFI\xfb'),
  signature('qed', 'QED\0'),
  signature('vmdk', 'KDMV'),
  signature('vmdk', 'COWD'),
  signature('vhdx', 'vhdxfile'),
  signature('vpc', 'conectix'),
  signature('vdi', [0x7f, 0x10, 0xda, 0xbe], 0x40),
  signature('parallels', 'WithoutFreeSpace'),
  signature('parallels', 'WithouFreSpacExt'),
  signature('luks', 'LUKS\xba\xbe'),
  signature('bochs', 'Bochs Virtual HD Image'),
];

/**
 * A VMDK that is text: comments and blank lines, then a version. A prefix of QEMU's rule and
 * VMware's own first line.
 */
const vmdkDescriptor = /^(?:# ?Disk DescriptorFile|(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*version[ \t]*=[ \t]*[0-9])/i;

/**
 * @param sizeBytes size of the file
 * @returns a name of QEMU's drivers; `raw` for a file without a known header (ISO images too)
 */
export async function detectFormat(read: ReadContent, sizeBytes: number): Promise<string> {
  const head = await read(0, Math.min(sizeBytes, headBytes));
  const found = signatures.find(({ bytes, offset }) => head.subarray(offset, offset + bytes.length).equals(bytes));
  if (found !== undefined) return found.format;
  if (vmdkDescriptor.test(head.toString('latin1', 0, 4096))) return 'vmdk';
  if (sizeBytes < footerBytes) return 'raw';
  const footer = await read(sizeBytes - footerBytes, footerBytes);
  if (isVhdFooter(footer)) return 'vpc';
  if (footer.toString('latin1', 0, 4) === 'koly') return 'dmg';
  return 'raw';
}

/**
 * VHD specification, "Hard Disk Footer Format": the checksum is the one's complement of the sum of
 * all other bytes.
 */
function isVhdFooter(footer: Buffer): boolean {
  if (footer.length !== footerBytes || footer.toString('latin1', 0, 8) !== 'conectix') return false;
  let sum = 0;
  for (const [index, byte] of footer.entries()) if (index < 64 || index >= 68) sum += byte;
  return ~sum >>> 0 === footer.readUInt32BE(64);
}
