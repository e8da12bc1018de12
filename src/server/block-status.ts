/**
 * Encodes the reply to BLOCK_STATUS: one chunk per negotiated context.
 *
 * Source: doc/proto.md, "NBD_CMD_BLOCK_STATUS", "base:allocation".
 */
import type { Extent } from '../block/extent.js';
import type { BlockDevice } from '../device/device.js';
import { AllocationFlag, CACHED_CONTEXT, CachedFlag, CommandFlag, type ContextName } from '../nbd/codec/constant.js';
import { blockStatusBytes, putBlockStatus, type Request, type StatusExtent } from '../nbd/codec/frame.js';

/**
 * Bound on the extents of one chunk, 32 KiB of them. Clients ask again from the end of the last
 * extent.
 */
const maxExtents = 4096;

export async function blockStatusReply(
  request: Request,
  device: BlockDevice,
  contexts: ReadonlyMap<ContextName, number>,
  extended: boolean,
  signal: AbortSignal,
): Promise<Buffer> {
  const { offset, lengthBytes, flags } = request;
  const maxCount = (flags & CommandFlag.REQ_ONE) !== 0 ? 1 : maxExtents;
  const chunks: { id: number; extents: StatusExtent[] }[] = [];
  for (const [name, id] of contexts) {
    const extents =
      name === CACHED_CONTEXT
        ? device.cachedExtents(offset, lengthBytes, maxCount).map((extent) => ({
            lengthBytes: extent.lengthBytes,
            flags: extent.cached ? CachedFlag.CACHED : 0,
          }))
        : (await device.extents(offset, lengthBytes, maxCount, { signal })).map((extent) => ({
            lengthBytes: extent.lengthBytes,
            flags: allocationFlags(extent),
          }));
    chunks.push({ id, extents });
  }
  const reply = Buffer.allocUnsafe(chunks.reduce((sum, { extents }) => sum + blockStatusBytes(extended, extents.length), 0));
  let at = 0;
  chunks.forEach(({ id, extents }, index) => {
    at = putBlockStatus(reply, at, extended, request, index === chunks.length - 1, id, extents);
  });
  return reply;
}

function allocationFlags(extent: Extent): number {
  return (extent.hole ? AllocationFlag.HOLE : 0) | (extent.zero ? AllocationFlag.ZERO : 0);
}
