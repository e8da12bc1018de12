/**
 * Numbers of the NBD specification, typed in from the document once more: this suite shares none with the product, so that a
 * number that is wrong there can't be wrong here in the same way.
 */
export const initMagic = 0x4e42444d41474943n;
export const optionMagic = 0x49484156454f5054n;
export const optionReplyMagic = 0x0003e889045565a9n;
export const requestMagic = 0x25609513;
export const extendedRequestMagic = 0x21e41c71;
export const simpleReplyMagic = 0x67446698;
export const structuredReplyMagic = 0x668e33ef;
export const extendedReplyMagic = 0x6e8a278c;

export const Option = {
  exportName: 1,
  abort: 2,
  list: 3,
  peekExport: 4,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
  extendedHeaders: 11,
} as const;

const failed = 0x8000_0000;
export const Rep = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  errUnsup: failed + 1,
  errPolicy: failed + 2,
  errInvalid: failed + 3,
  errPlatform: failed + 4,
  errTlsReqd: failed + 5,
  errUnknown: failed + 6,
  errShutdown: failed + 7,
  errBlockSizeReqd: failed + 8,
  errTooBig: failed + 9,
  errExtHeaderReqd: failed + 10,
} as const;

export const Info = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

export const Flag = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  rotational: 1 << 4,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendResize: 1 << 9,
  sendCache: 1 << 10,
  sendFastZero: 1 << 11,
  blockStatusPayload: 1 << 12,
} as const;

export const Cmd = { read: 0, write: 1, disc: 2, flush: 3, trim: 4, cache: 5, writeZeroes: 6, blockStatus: 7 } as const;

export const CmdFlag = { fua: 1, noHole: 2, df: 4, reqOne: 8, fastZero: 16, payloadLen: 32 } as const;

export const ReplyType = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  blockStatusExt: 6,
  error: 0x8001,
  errorOffset: 0x8002,
} as const;

export const replyFlagDone = 1;

export const Errno = { EPERM: 1, EIO: 5, ENOMEM: 12, EINVAL: 22, ENOSPC: 28, EOVERFLOW: 75, ENOTSUP: 95, ESHUTDOWN: 108 } as const;

export const State = { hole: 1, zero: 2 } as const;
