/**
 * Describes an image to QEMU: Copse names every file of it and leaves none for QEMU to find.
 *
 * Invariant: each node has an explicit `file` (a private export) and an explicit `backing`, null at
 * the lowest layer. QEMU merges a backing node's description with the name in the image
 * (`bdrv_open_backing_file`), so layers above another are served without that name.
 *
 * Source: QEMU's QAPI schema, `BlockdevOptions`.
 */
import type { PrivateExportHandle } from './layer.js';

export interface OpenLayer {
  format: string;
  handle: PrivateExportHandle;
}

interface NbdNode {
  driver: 'nbd';
  'read-only': true;
  server: { type: 'unix'; path: string };
  export: string;
}

interface FormatNode {
  driver: string;
  'read-only': true;
  file: NbdNode;
  backing: FormatNode | null;
}

/**
 * @param layers topmost first, at least one
 * @returns a file name for qemu-nbd, in QEMU's `json:` form, so that no character needs escaping
 */
export function imageFileName(layers: readonly OpenLayer[]): string {
  return `json:${JSON.stringify(layers.reduceRight<FormatNode | null>((backing, layer) => formatNode(layer, backing), null))}`;
}

function formatNode({ format, handle }: OpenLayer, backing: FormatNode | null): FormatNode {
  const file: NbdNode = {
    driver: 'nbd',
    'read-only': true,
    server: { type: 'unix', path: handle.socketPath },
    export: handle.exportName,
  };
  return { driver: format, 'read-only': true, file, backing };
}
