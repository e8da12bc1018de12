/**
 * Checks a request against the protocol before anything is done for it. Requests are validated here
 * and nowhere else, so devices may assume valid ranges.
 *
 * Source: doc/proto.md, "Command flags", "Request types", "Error values", "Size constraints". The
 * protocol leaves two cases open. A length of 0 succeeds without effect, except for BLOCK_STATUS,
 * which could not name an extent. A request beyond the end is EINVAL for commands that read or
 * hint, and ENOSPC for commands that write.
 */
import type { BlockDevice } from '../device/device.js';
import { Command, CommandFlag, ErrorNumber, MAX_PAYLOAD_BYTES, type ReplyMode } from '../nbd/codec/constant.js';
import type { Request } from '../nbd/codec/frame.js';

export interface Refusal {
  error: number;
  text: string;
}

export interface CheckContext {
  device: BlockDevice;
  replies: ReplyMode;
  /** True if a metadata context was negotiated. */
  hasContexts: boolean;
}

/**
 * Flags that each command may carry. FUA is valid on every command of an export that offers it, and
 * has no effect on commands that don't write.
 */
const allowedFlags: Readonly<Record<number, number>> = {
  [Command.READ]: CommandFlag.FUA | CommandFlag.DF,
  [Command.WRITE]: CommandFlag.FUA | CommandFlag.PAYLOAD_LEN,
  [Command.FLUSH]: CommandFlag.FUA,
  [Command.TRIM]: CommandFlag.FUA,
  [Command.CACHE]: CommandFlag.FUA,
  [Command.WRITE_ZEROES]: CommandFlag.FUA | CommandFlag.NO_HOLE | CommandFlag.FAST_ZERO,
  [Command.BLOCK_STATUS]: CommandFlag.FUA | CommandFlag.REQ_ONE,
};

/**
 * Returns the reason to refuse a request, or `undefined`. DISC is not checked: it has no reply.
 */
export function refusalOf(request: Request, context: CheckContext): Refusal | undefined {
  const { device, replies } = context;
  const { type, flags, offset, lengthBytes } = request;
  const allowed = allowedFlags[type];
  if (allowed === undefined) return { error: ErrorNumber.EINVAL, text: `command ${type} is not known here` };
  if ((flags & ~allowed) !== 0) return { error: ErrorNumber.EINVAL, text: `flags 0x${flags.toString(16)} do not go with command ${type}` };
  if ((flags & CommandFlag.PAYLOAD_LEN) !== 0 && replies !== 'extended') {
    return { error: ErrorNumber.EINVAL, text: 'PAYLOAD_LEN needs extended headers' };
  }
  if ((flags & CommandFlag.DF) !== 0 && replies === 'simple') return { error: ErrorNumber.EINVAL, text: 'DF needs structured replies' };
  if ((flags & CommandFlag.FUA) !== 0 && device.features.readOnly)
    return { error: ErrorNumber.EINVAL, text: 'FUA was not offered by this export' };
  if (type === Command.WRITE && replies === 'extended' && (flags & CommandFlag.PAYLOAD_LEN) === 0) {
    return { error: ErrorNumber.EINVAL, text: 'with extended headers WRITE needs PAYLOAD_LEN' };
  }
  return refusalOfCommand(request, context) ?? refusalOfRange(type, offset, lengthBytes, device.sizeBytes);
}

function refusalOfCommand(request: Request, { device, hasContexts }: CheckContext): Refusal | undefined {
  const { features } = device;
  switch (request.type) {
    case Command.WRITE:
      if (features.readOnly) return readOnly;
      return request.lengthBytes > MAX_PAYLOAD_BYTES ? tooLong : undefined;
    case Command.TRIM:
      if (features.readOnly) return readOnly;
      return features.trim ? undefined : notOffered('TRIM');
    case Command.WRITE_ZEROES:
      if (features.readOnly) return readOnly;
      if (!features.writeZeroes) return notOffered('WRITE_ZEROES');
      return (request.flags & CommandFlag.FAST_ZERO) !== 0 && !features.fastZero ? notOffered('FAST_ZERO') : undefined;
    case Command.READ:
      return request.lengthBytes > MAX_PAYLOAD_BYTES ? tooLong : undefined;
    case Command.FLUSH:
      return request.offset !== 0 || request.lengthBytes !== 0 ? { error: ErrorNumber.EINVAL, text: 'FLUSH takes no range' } : undefined;
    case Command.BLOCK_STATUS:
      if (!hasContexts) return { error: ErrorNumber.EINVAL, text: 'BLOCK_STATUS needs a metadata context, none was agreed' };
      return request.lengthBytes === 0 ? { error: ErrorNumber.EINVAL, text: 'BLOCK_STATUS of nothing' } : undefined;
    default:
      return undefined;
  }
}

const readOnly: Refusal = { error: ErrorNumber.EPERM, text: 'the export is read-only' };
const tooLong: Refusal = { error: ErrorNumber.EINVAL, text: `the most for one request is ${MAX_PAYLOAD_BYTES} bytes` };

function notOffered(what: string): Refusal {
  return { error: ErrorNumber.EINVAL, text: `${what} was not offered by this export` };
}

function refusalOfRange(type: number, offset: number, lengthBytes: number, sizeBytes: number): Refusal | undefined {
  if (offset <= sizeBytes && lengthBytes <= sizeBytes - offset) return undefined;
  const writes = type === Command.WRITE || type === Command.WRITE_ZEROES;
  return {
    error: writes ? ErrorNumber.ENOSPC : ErrorNumber.EINVAL,
    text: `${lengthBytes} bytes at ${offset} reach beyond the end of the export, which has ${sizeBytes}`,
  };
}
