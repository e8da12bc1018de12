/**
 * Looks at an image file before any program decodes it, and refuses a file that names something
 * outside itself.
 *
 * QEMU opens the files that an image names: backing files, data files, extents, on the host or by
 * URL. Copse gives it every file explicitly, which overrides most names. This guard covers the
 * other names, and says clearly what is wrong. It reads fixed header fields, never an allocation
 * table, and runs again before each start of qemu-nbd.
 */

import { OriginError } from '../../origin.js';
import { readContent } from '../content.js';
import { type FormatLayer, isSupportedFormat, maxLayerCount, type Patch, type SupportedFormat, unsupportedFormat } from '../layer.js';
import type { Inspect, Inspection } from './inspection.js';
import { inspectParallels } from './parallels.js';
import { inspectQcow } from './qcow.js';
import { inspectQed } from './qed.js';
import { quoteName, refusal } from './refusal.js';
import { inspectVdi } from './vdi.js';
import { inspectVhdx } from './vhdx.js';
import { inspectVmdk } from './vmdk.js';
import { inspectVpc } from './vpc.js';

const inspections: Readonly<Record<SupportedFormat, Inspect>> = {
  parallels: inspectParallels,
  qcow: inspectQcow,
  qcow2: inspectQcow,
  qed: inspectQed,
  vdi: inspectVdi,
  vhdx: inspectVhdx,
  vmdk: inspectVmdk,
  vpc: inspectVpc,
};

/** A layer that may be decoded. */
export interface GuardedLayer {
  readonly layer: FormatLayer;
  /** Bytes to serve in place of the container's own, so that QEMU sees no name. */
  readonly patches: readonly Patch[];
}

/**
 * Checks a layer and those below it.
 *
 * @returns the layers that make up the image, topmost first: each is the backing of the one before
 * @throws OriginError `ERR_FORMAT` if a layer has an unsupported format or names a file that the
 * operator did not map; else as reads do
 */
export async function guardLayers(top: FormatLayer, signal?: AbortSignal): Promise<GuardedLayer[]> {
  const layers: GuardedLayer[] = [];
  for (let layer: FormatLayer | undefined = top; layer !== undefined; ) {
    const { backing } = await inspect(layer, signal);
    layers.push({ layer, patches: backing === undefined ? [] : [backing.removal] });
    if (layers.length > maxLayerCount) {
      throw new OriginError('ERR_FORMAT', `${top.container.origin.url}: its chain of backing files is longer than ${maxLayerCount}`);
    }
    layer = backing === undefined ? undefined : mapped(layer, backing.name);
  }
  return layers;
}

async function inspect({ format, container: { origin } }: FormatLayer, signal?: AbortSignal): Promise<Inspection> {
  if (format === 'raw') return {};
  if (!isSupportedFormat(format)) throw unsupportedFormat(format, origin.url);
  return inspections[format]({ url: origin.url, sizeBytes: origin.sizeBytes, read: readContent(origin, signal) });
}

function mapped(layer: FormatLayer, backingName: string): FormatLayer {
  const { url } = layer.container.origin;
  const named = `its backing file is ${quoteName(backingName)}`;
  // The name describes a whole block graph, which no single image can stand for.
  if (/^\s*json:/i.test(backingName)) throw refusal(url, named, 'such a name is never followed; rewrite it with qemu-img rebase -u');
  const backing = layer.backing ?? {};
  const below = Object.hasOwn(backing, backingName) ? backing[backingName] : undefined;
  if (below !== undefined) return below;
  const names = Object.keys(backing).map(quoteName);
  const others = names.length === 0 ? '' : ` (mapped are ${names.join(', ')})`;
  throw refusal(url, named, `add that file as an image and map it with --backing '${quoteName(backingName).slice(1, -1)}=IMAGE'${others}`);
}
