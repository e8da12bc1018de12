/**
 * Guard of VHD (QEMU's `vpc`): it refuses a differencing disk, which QEMU would read without its
 * parent.
 *
 * Source: "Virtual Hard Disk Image Format Specification" (Microsoft), "Hard Disk Footer Format",
 * "Dynamic Disk Header Format".
 */
import type { Inspect, Subject } from './inspection.js';
import { convertRemedy, malformed, quoteName, refusal } from './refusal.js';

const cookie = 'conectix';
const footerBytes = 512;
const differencing = 4;

export const inspectVpc: Inspect = async (subject) => {
  const { url, sizeBytes, read } = subject;
  const head = await read(0, footerBytes);
  const footer = isFooter(head) ? head : await read(Math.max(0, sizeBytes - footerBytes), footerBytes);
  if (!isFooter(footer)) throw malformed(url, 'vpc', 'it has no VHD footer');
  if (footer.readUInt32BE(60) === differencing) {
    throw refusal(url, `it holds only the differences to a parent, ${quoteName(await parentName(subject, footer))}`, convertRemedy);
  }
  return {};
};

function isFooter(bytes: Buffer): boolean {
  return bytes.length === footerBytes && bytes.toString('latin1', 0, 8) === cookie;
}

async function parentName({ read }: Subject, footer: Buffer): Promise<string> {
  const offset = footer.readBigUInt64BE(16);
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) return '';
  const header = await read(Number(offset), 1024);
  const name = Buffer.from(header.subarray(64, 576));
  return name.length === 512 ? name.swap16().toString('utf16le').replace(/\0.*$/s, '') : '';
}
