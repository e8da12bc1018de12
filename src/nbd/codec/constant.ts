/**
 * The numbers of the NBD protocol, and Copse's own limits.
 *
 * Source: doc/proto.md of the NBD project (section "Values"), and its branch extension-ext-header
 * for extended headers. 64-bit magics are pairs of 32-bit halves: nothing here is a bigint.
 */

/** `NBDMAGIC`: the first 8 bytes of every connection. */
export const INIT_MAGIC = Buffer.from('NBDMAGIC', 'latin1');
/** `IHAVEOPT`: newstyle's second magic, and the head of every option. */
export const OPTION_MAGIC = Buffer.from('IHAVEOPT', 'latin1');
/** 0x3e889045565a9, high and low half: the head of every option reply. */
export const OPTION_REPLY_MAGIC_HIGH = 0x0003e889;
export const OPTION_REPLY_MAGIC_LOW = 0x045565a9;

export const REQUEST_MAGIC = 0x25609513;
export const EXTENDED_REQUEST_MAGIC = 0x21e41c71;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;
export const EXTENDED_REPLY_MAGIC = 0x6e8a278c;

/** Header sizes in bytes. */
export const REQUEST_BYTES = 28;
export const EXTENDED_REQUEST_BYTES = 32;
export const SIMPLE_REPLY_BYTES = 16;
export const STRUCTURED_REPLY_BYTES = 20;
export const EXTENDED_REPLY_BYTES = 32;
export const OPTION_BYTES = 16;
export const OPTION_REPLY_BYTES = 20;
/** Reserved zeros after the reply to EXPORT_NAME, unless NO_ZEROES was negotiated. */
export const EXPORT_NAME_PADDING_BYTES = 124;

/** Flags that the server sends first ("Handshake flags"). */
export const HandshakeFlag = { FIXED_NEWSTYLE: 1 << 0, NO_ZEROES: 1 << 1 } as const;

/** Flags that the client answers with ("Client flags"). */
export const ClientFlag = { FIXED_NEWSTYLE: 1 << 0, NO_ZEROES: 1 << 1 } as const;

export const TransmissionFlag = {
  HAS_FLAGS: 1 << 0,
  READ_ONLY: 1 << 1,
  SEND_FLUSH: 1 << 2,
  SEND_FUA: 1 << 3,
  ROTATIONAL: 1 << 4,
  SEND_TRIM: 1 << 5,
  SEND_WRITE_ZEROES: 1 << 6,
  /** Only with structured or extended replies; `negotiate` clears it otherwise. */
  SEND_DF: 1 << 7,
  CAN_MULTI_CONN: 1 << 8,
  SEND_RESIZE: 1 << 9,
  SEND_CACHE: 1 << 10,
  SEND_FAST_ZERO: 1 << 11,
  BLOCK_STATUS_PAYLOAD: 1 << 12,
} as const;

export const Option = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  PEEK_EXPORT: 4,
  STARTTLS: 5,
  INFO: 6,
  GO: 7,
  STRUCTURED_REPLY: 8,
  LIST_META_CONTEXT: 9,
  SET_META_CONTEXT: 10,
  EXTENDED_HEADERS: 11,
} as const;

/** Option reply types. Types with bit 31 are errors, and carry a text for people. Unsigned. */
export const OptionReply = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  META_CONTEXT: 4,
  ERR_UNSUP: 0x80000001,
  ERR_POLICY: 0x80000002,
  ERR_INVALID: 0x80000003,
  ERR_PLATFORM: 0x80000004,
  ERR_TLS_REQD: 0x80000005,
  ERR_UNKNOWN: 0x80000006,
  ERR_SHUTDOWN: 0x80000007,
  ERR_BLOCK_SIZE_REQD: 0x80000008,
  ERR_TOO_BIG: 0x80000009,
  ERR_EXT_HEADER_REQD: 0x8000000a,
} as const;

export const Info = { EXPORT: 0, NAME: 1, DESCRIPTION: 2, BLOCK_SIZE: 3 } as const;

export const Command = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7,
  RESIZE: 8,
} as const;

export const CommandFlag = {
  FUA: 1 << 0,
  NO_HOLE: 1 << 1,
  DF: 1 << 2,
  REQ_ONE: 1 << 3,
  FAST_ZERO: 1 << 4,
  /**
   * Extended headers: the length counts a payload that follows, not the command's effect. Always
   * set on their WRITE.
   */
  PAYLOAD_LEN: 1 << 5,
} as const;

/** Flags of a structured or extended reply chunk. */
export const ReplyFlag = { DONE: 1 << 0 } as const;

/** Chunk types. Types with bit 15 are errors. */
export const ReplyType = {
  NONE: 0,
  OFFSET_DATA: 1,
  OFFSET_HOLE: 2,
  BLOCK_STATUS: 5,
  /** Replaces BLOCK_STATUS with extended headers. */
  BLOCK_STATUS_EXT: 6,
  ERROR: 0x8001,
  ERROR_OFFSET: 0x8002,
} as const;

export const ReplyTypeErrorBit = 0x8000;

/**
 * Error numbers on the wire ("Error values"). The server never sends ESHUTDOWN to guests, because
 * QEMU passes it to the guest.
 */
export const ErrorNumber = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

/** Flags of an extent in the context `base:allocation`. */
export const AllocationFlag = { HOLE: 1 << 0, ZERO: 1 << 1 } as const;

export const ALLOCATION_CONTEXT = 'base:allocation';
/** Copse's own context: the extents that this host holds. */
export const CACHED_CONTEXT = 'x-copse:cached';
/** Flag of an extent in the context `x-copse:cached`: a read of it asks no other host. */
export const CachedFlag = { CACHED: 1 << 0 } as const;

export type ContextName = typeof ALLOCATION_CONTEXT | typeof CACHED_CONTEXT;
/** Contexts that the server offers, in the order of its replies. */
export const contextNames: readonly ContextName[] = [ALLOCATION_CONTEXT, CACHED_CONTEXT];

/** Form of the replies on a connection. */
export type ReplyMode = 'simple' | 'structured' | 'extended';

/** Longest string in the protocol ("Conventions"), in bytes of UTF-8. */
export const MAX_STRING_BYTES = 4096;
/** Longest payload of a request or of a reply to READ, in bytes ("Size constraints"). */
export const MAX_PAYLOAD_BYTES = 32 * 1024 * 1024;
/**
 * Longest error text in a reply, in bytes. QEMU drops the connection for good beyond about 990.
 */
export const MAX_ERROR_TEXT_BYTES = 896;
/**
 * Bound on the extents of one BLOCK_STATUS chunk that a server should send, and that the client
 * takes.
 */
export const MAX_EXTENT_COUNT = 1 << 20;
/** IANA's port for NBD. */
export const DEFAULT_PORT = 10809;
