/** What can be asked of an export on another NBD server, whether over one connection or over a line of them. */
import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { ReplyMode } from '../codec/constant.js';
import type { StatusExtent } from '../codec/frame.js';
import type { BlockSizeInfo } from '../codec/option.js';

/**
 * Takes a read's bytes, each exactly once, in whatever order the server sends them. A piece is a view that nobody writes to
 * again. Nothing comes after the read has settled.
 */
export interface NbdReadSink {
  /** @param offset of the piece, in the export */
  data(piece: Buffer, offset: number): void;
  /** The range reads as zeros that were not transferred. */
  zeroes(offset: number, lengthBytes: number): void;
}

export interface NbdRequestOptions {
  /** Rejects with `ERR_ABORTED`. What the server was asked already it still does; a write that is being sent is first sent. */
  signal?: AbortSignal | undefined;
}

export interface NbdReadOptions extends NbdRequestOptions {
  /** One content chunk, no holes. Ignored where the server does not offer it. */
  df?: boolean | undefined;
}

export interface NbdWriteOptions extends NbdRequestOptions {
  fua?: boolean | undefined;
}

export interface NbdWriteZeroesOptions extends NbdWriteOptions {
  noHole?: boolean | undefined;
  /** Fail with `ENOTSUP` if it is no faster than writing zeros. */
  fastOnly?: boolean | undefined;
}

export interface NbdBlockStatusOptions extends NbdRequestOptions {
  /** One extent for each context. */
  one?: boolean | undefined;
}

/** How long a client waits on a connection that says nothing. */
export interface PatienceOptions {
  /** Time without a byte after which the client asks for a sign of life, in ms. Default 2000. */
  quietMs?: number | undefined;
  /** Time for the answer to that, in ms. Default 1000. */
  answerMs?: number | undefined;
  /** Time that a READ may wait on a connection that gives signs of life, in ms; 0: for ever, the default. */
  mostWaitMs?: number | undefined;
  clock?: Clock | undefined;
}

/** What an export is, as its server describes it. */
export interface NbdExportInfo {
  /** The server's name for it, or the one that was asked for. */
  exportName: string;
  description: string;
  sizeBytes: number;
  /** `TransmissionFlag`s. */
  transmissionFlags: number;
  /** The protocol's defaults where the server says nothing. */
  blockSize: BlockSizeInfo;
}

/** What one connection agreed on. */
export interface NbdAgreement extends NbdExportInfo {
  replies: ReplyMode;
  /** Ids by context name; what the server did not grant is missing. */
  contexts: ReadonlyMap<string, number>;
}

/**
 * Ranges must lie inside the export, or the call rejects with `EINVAL`; empty ones resolve at once. Any number of calls may run at
 * once; overlapping ones have no order.
 *
 * Rejections: NbdRequestError (the server's errno as code; `ENOTSUP` and `EPERM` also for what it does not offer, without asking it),
 * `ERR_NBD_PROTOCOL`, `ERR_NBD_DISCONNECTED`, `ERR_ABORTED`, `ERR_CLOSED`;
 * of a connection with patience also `ERR_NBD_SILENT` and `ERR_NBD_UNANSWERED`.
 */
export interface NbdRemote {
  read(offset: number, lengthBytes: number, sink: NbdReadSink, options?: NbdReadOptions): Promise<void>;
  /** The source is the caller's again when the promise settles. */
  write(source: Buffer, offset: number, options?: NbdWriteOptions): Promise<void>;
  writeZeroes(offset: number, lengthBytes: number, options?: NbdWriteZeroesOptions): Promise<void>;
  trim(offset: number, lengthBytes: number, options?: NbdWriteOptions): Promise<void>;
  flush(options?: NbdRequestOptions): Promise<void>;
  cache(offset: number, lengthBytes: number, options?: NbdRequestOptions): Promise<void>;
  /**
   * Extents that begin at `offset`, by context: at least one each, never beyond the range, perhaps ending before it does.
   * Neighbours may be alike.
   */
  blockStatus(offset: number, lengthBytes: number, options?: NbdBlockStatusOptions): Promise<Map<string, StatusExtent[]>>;
  /** Waits for what is in flight, says goodbye and closes. Idempotent. */
  disconnect(): Promise<void>;
}

export interface NbdConnectOptions {
  /** Overrides the URI's. Default: the URI's, else the empty name. */
  exportName?: string | undefined;
  /** Metadata contexts to select, for `blockStatus`. */
  contexts?: readonly string[] | undefined;
  /** The best to ask for; the client takes what the server has. Default `extended`. */
  replies?: ReplyMode | undefined;
  /** Most requests in flight at once, the rest wait their turn. Default 64. */
  maxInFlight?: number | undefined;
  /** Ends the attempt to connect; later it has no effect. */
  signal?: AbortSignal | undefined;
  /** For connecting and the handshake together. Default 30 000; 0 for ever. */
  timeoutMs?: number | undefined;
  /**
   * How long a connection may be silent. Only for servers that answer a read of no bytes at once, as Copse's do. One of
   * the requests in flight is kept for that. Default: for ever.
   */
  patience?: PatienceOptions | undefined;
  /** TCP_USER_TIMEOUT: time that bytes may stay unacknowledged before the kernel ends the connection, in ms. Default: the kernel's. */
  userTimeoutMs?: number | undefined;
  log?: Logger | undefined;
}
