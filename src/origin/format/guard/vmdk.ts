/**
 * Guard of VMDK: it accepts one hosted sparse file that describes itself, and nothing else.
 *
 * A VMDK may be a text that lists extents: files, and host devices, by name. QEMU reads such a text
 * if the file begins with it, and also if a sparse header's capacity is zero. The guard refuses
 * both. From the text inside a sparse file QEMU reads only the parent. If that text names more than
 * the file's own extent, the file is a part of a larger image.
 *
 * Sources: "Virtual Disk Format 1.1" (VMware), QEMU block/vmdk.c (`vmdk_open_sparse`,
 * `vmdk_parent_open`).
 */
import type { Inspect, Subject } from './inspection.js';
import { convertRemedy, malformed, quoteName, refusal } from './refusal.js';

const sectorBytes = 512;
/** Range in which QEMU searches for the parent, whatever the header says. */
const searched = { offset: 0x200, lengthBytes: 20 * sectorBytes };
const maxDescriptorBytes = 1024 * 1024;
const extentLine = /^[ \t]*(?:RW|RDONLY|NOACCESS)[ \t]+\d+[ \t]+(\w+)(?:[ \t]+"([^"\n]*)")?/gim;

export const inspectVmdk: Inspect = async (subject) => {
  const { url, read } = subject;
  const header = await read(0, 512);
  const magic = header.toString('latin1', 0, 4);
  if (magic === 'COWD') throw refusal(url, 'it is one extent of an ESX disk', convertRemedy);
  if (magic !== 'KDMV') {
    const text = (await read(0, 64 * 1024)).toString('latin1');
    const names = extents(text).map(({ name }) => quoteName(name));
    if (names.length === 0) throw malformed(url, 'vmdk', 'it is neither a sparse extent nor a descriptor');
    throw refusal(url, `it is a descriptor whose data are in other files, ${names.slice(0, 4).join(', ')}`, convertRemedy);
  }
  if (header.length < 512) throw malformed(url, 'vmdk', 'its header is cut off');
  if (header.readBigUInt64LE(12) === 0n) {
    const names = extents(await embedded(subject, header)).map(({ name }) => quoteName(name));
    const what =
      names.length > 0 ? `it has no capacity of its own and names ${names.slice(0, 4).join(', ')}` : 'it has no capacity of its own';
    throw refusal(url, what, convertRemedy);
  }
  for (const text of [await embedded(subject, header), (await read(searched.offset, searched.lengthBytes)).toString('latin1')]) {
    refuseParent(url, text);
    const found = extents(text);
    const foreign = found.length > 1 ? found : found.filter(({ type }) => type.toUpperCase() !== 'SPARSE');
    if (foreign.length > 0) {
      throw refusal(
        url,
        `its data are in ${foreign
          .map(({ name }) => quoteName(name))
          .slice(0, 4)
          .join(', ')}`,
        convertRemedy,
      );
    }
  }
  return {};
};

async function embedded({ url, read }: Subject, header: Buffer): Promise<string> {
  const offset = header.readBigUInt64LE(28) * BigInt(sectorBytes);
  const lengthBytes = header.readBigUInt64LE(36) * BigInt(sectorBytes);
  if (offset === 0n) return '';
  if (offset > BigInt(Number.MAX_SAFE_INTEGER) || lengthBytes > BigInt(maxDescriptorBytes)) {
    throw malformed(url, 'vmdk', `its descriptor is ${lengthBytes} bytes at ${offset}`);
  }
  return (await read(Number(offset), Number(lengthBytes))).toString('latin1');
}

function extents(text: string): { type: string; name: string }[] {
  return Array.from(text.matchAll(extentLine), ([line, type = '', name = '']) => ({ type, name: name === '' ? line.trim() : name }));
}

function refuseParent(url: string, text: string): void {
  const hint = /parentFileNameHint[ \t]*=?[ \t]*"?([^"\n\0]*)/i.exec(text)?.[1]?.trim();
  if (hint !== undefined && hint !== '') throw refusal(url, `it holds only the differences to a parent, ${quoteName(hint)}`, convertRemedy);
  const parent = /^[ \t]*parentCID[ \t]*=[ \t]*([0-9a-f]+)/im.exec(text)?.[1];
  if (parent !== undefined && !/^f{8}$/i.test(parent))
    throw refusal(url, `it holds only the differences to a parent with the CID ${parent}`, convertRemedy);
}
