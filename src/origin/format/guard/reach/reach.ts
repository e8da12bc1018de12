/**
 * Checks that an image file has all the bytes that its own tables name.
 *
 * When to use: once, when an image is added, pinned anew or imported. Cost: a few reads for qcow2;
 * the allocation tables for the other formats.
 */
import { readContent } from '../../content.js';
import { type FormatLayer, isSupportedFormat, type SupportedFormat } from '../../layer.js';
import type { Subject } from '../inspection.js';
import { checkParallels } from './parallels.js';
import { checkQcow } from './qcow.js';
import { checkQcow2 } from './qcow2.js';
import { checkQed } from './qed.js';
import { TableBudgetError, TableReader } from './table.js';
import { checkVdi } from './vdi.js';
import { checkVhdx } from './vhdx.js';
import { checkVmdk } from './vmdk.js';
import { checkVpc } from './vpc.js';

/**
 * `whole`: the file has all that its tables name. `unchecked`: reading the tables would have cost
 * too much.
 */
export type Reach = 'whole' | 'unchecked';

/** Most bytes of tables that are read while an operator waits. */
const budgetBytes = 32 * 1024 * 1024;
/** More than any table of a sound image. */
const deepBudgetBytes = 64 * 1024 * 1024 * 1024;

const checks: Readonly<Record<SupportedFormat, (reader: TableReader) => Promise<void>>> = {
  parallels: checkParallels,
  qcow: checkQcow,
  qcow2: checkQcow2,
  qed: checkQed,
  vdi: checkVdi,
  vhdx: checkVhdx,
  vmdk: checkVmdk,
  vpc: checkVpc,
};

/**
 * Checks the topmost file of a layer. The layers below are images of their own, which were checked
 * when they were added.
 *
 * @param deep true to read all tables, whatever that costs
 * @throws OriginError `ERR_FORMAT` if the file is cut off; else as reads do
 */
export async function checkLayer(
  { format, container: { origin } }: FormatLayer,
  { deep = false, signal }: { deep?: boolean | undefined; signal?: AbortSignal | undefined } = {},
): Promise<Reach> {
  return checkReach(format, { url: origin.url, sizeBytes: origin.sizeBytes, read: readContent(origin, signal) }, deep);
}

/**
 * Does the same as `checkLayer` for a single file. A format without a guard is `unchecked`. A raw
 * disk has no tables and is `whole`.
 */
export async function checkReach(format: string, subject: Subject, deep: boolean): Promise<Reach> {
  if (format === 'raw') return 'whole';
  if (!isSupportedFormat(format)) return 'unchecked';
  try {
    await checks[format](new TableReader(subject, format, deep ? deepBudgetBytes : budgetBytes));
    return 'whole';
  } catch (error) {
    if (error instanceof TableBudgetError) return 'unchecked';
    throw error;
  }
}
