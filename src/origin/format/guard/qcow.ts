/**
 * Guard of qcow and qcow2: the backing file's name, the external data file, encryption. It reads
 * fixed header fields, and the list of header extensions for the data file's name in the refusal.
 *
 * Source: QEMU docs/interop/qcow2.txt, "Header" and "Header extensions"; for version 1
 * block/qcow.c, `QCowHeader`.
 */
import type { BackingName, Inspect, Subject } from './inspection.js';
import { convertRemedy, malformed, quoteName, refusal } from './refusal.js';

const magic = 0x514649fb;
const maxNameBytes = 1023;
const incompatible = { externalDataFile: 1n << 2n };
const dataFileExtension = 0x44415441;

export const inspectQcow: Inspect = async (subject) => {
  const { url } = subject;
  const header = await subject.read(0, 112);
  if (header.length < 48 || header.readUInt32BE(0) !== magic) throw malformed(url, 'qcow', 'it has no qcow header');
  const version = header.readUInt32BE(4);
  if (version < 1 || version > 3) throw malformed(url, 'qcow', `its version is ${version}`);
  if (header.readUInt32BE(version === 1 ? 36 : 32) !== 0) {
    throw refusal(url, 'it is encrypted', 'Copse holds no keys; decrypt it with qemu-img convert');
  }
  if (version === 3) {
    if (header.length < 104) throw malformed(url, 'qcow2', 'its header is cut off');
    if ((header.readBigUInt64BE(72) & incompatible.externalDataFile) !== 0n) {
      const name = await dataFileName(subject, header.readUInt32BE(100));
      throw refusal(url, `its data are in another file, ${quoteName(name)}`, convertRemedy);
    }
  }
  return { backing: await backingName(subject, header) };
};

async function backingName({ url, read }: Subject, header: Buffer): Promise<BackingName | undefined> {
  const offset = header.readBigUInt64BE(8);
  const lengthBytes = header.readUInt32BE(16);
  // QEMU looks for a backing file if the offset is set. A sound program writes no name of length
  // zero.
  if (offset === 0n) return undefined;
  if (lengthBytes === 0) return undefined;
  if (lengthBytes > maxNameBytes || offset > 2n ** 21n)
    throw malformed(url, 'qcow', `its backing file name is ${lengthBytes} bytes at ${offset}`);
  const name = await read(Number(offset), lengthBytes);
  if (name.length !== lengthBytes) throw malformed(url, 'qcow', 'its backing file name is cut off');
  return { name: name.toString('utf8'), removal: { offset: 8, bytes: Buffer.alloc(12) } };
}

async function dataFileName({ read }: Subject, headerBytes: number): Promise<string> {
  let offset = headerBytes;
  for (let count = 0; count < 64; count += 1) {
    const extension = await read(offset, 8);
    if (extension.length < 8) break;
    const type = extension.readUInt32BE(0);
    const lengthBytes = extension.readUInt32BE(4);
    if (type === 0 || lengthBytes > 65536) break;
    if (type === dataFileExtension) return (await read(offset + 8, lengthBytes)).toString('utf8');
    offset += 8 + Math.ceil(lengthBytes / 8) * 8;
  }
  return 'a file that it does not name';
}
