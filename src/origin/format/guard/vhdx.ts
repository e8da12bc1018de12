/**
 * Guard of VHDX: it refuses a differencing disk, whose parent QEMU would read as zeros. It looks up
 * one entry in each of two small tables.
 *
 * Source: MS-VHDX, "File Parameters".
 */
import type { Inspect } from './inspection.js';
import { convertRemedy, malformed, refusal } from './refusal.js';
import { findVhdxMetadata, findVhdxRegion } from './vhdx-table.js';

const hasParent = 2;

export const inspectVhdx: Inspect = async ({ url, read }) => {
  if ((await read(0, 8)).toString('latin1') !== 'vhdxfile') throw malformed(url, 'vhdx', 'it has no VHDX signature');
  const region = await findVhdxRegion(read, 'metadata');
  if (region === undefined) throw malformed(url, 'vhdx', 'it has no metadata region');
  const parameters = await findVhdxMetadata(read, region.offset, 'fileParameters', 8);
  if (parameters === undefined) throw malformed(url, 'vhdx', 'it has no file parameters');
  if ((parameters.readUInt32LE(4) & hasParent) !== 0) throw refusal(url, 'it holds only the differences to a parent', convertRemedy);
  return {};
};
