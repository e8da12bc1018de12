/** The contract of an export on another NBD server, over one connection or a line of them. */
import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { ReplyMode } from '../codec/constant.js';
import type { StatusExtent } from '../codec/frame.js';
import type { BlockSizeInfo } from '../codec/option.js';

/**
 * Takes the bytes of a read, each exactly once, in the order in which the server sends them. A
 * piece is a view that is not written again. No call follows after the read has settled.
 */
export interface NbdReadSink {
  /** @param offset position of the piece in the export */
  data(piece: Buffer, offset: number): void;
  /** Takes a range of zeros that were not transferred. */
  zeroes(offset: number, lengthBytes: number): void;
}

export interface NbdRequestOptions {
  /**
   * Gives the request up with `ERR_ABORTED`. The server still executes what it was asked, and a
   * write that is being sent is sent to its end.
   */
  signal?: AbortSignal | undefined;
}

export interface NbdReadOptions extends NbdRequestOptions {
  /** True to get one content chunk without holes. Ignored if the server does not offer it. */
  df?: boolean | undefined;
}

export interface NbdWriteOptions extends NbdRequestOptions {
  fua?: boolean | undefined;
}

export interface NbdWriteZeroesOptions extends NbdWriteOptions {
  noHole?: boolean | undefined;
  /** True to fail with `ENOTSUP` if it is no faster than writing zeros. */
  fastOnly?: boolean | undefined;
}

export interface NbdBlockStatusOptions extends NbdRequestOptions {
  /** True to get one extent per context. */
  one?: boolean | undefined;
}

/** Bounds on the wait for a connection that sends nothing. */
export interface PatienceOptions {
  /** Time without a byte after which the client asks for a sign of life, in ms. Default 2000. */
  quietMs?: number | undefined;
  /** Time for the answer to that, in ms. Default 1000. */
  answerMs?: number | undefined;
  /**
   * Time that a READ may wait on a connection that gives signs of life, in ms; 0, the default,
   * means no bound.
   */
  maxWaitMs?: number | undefined;
  clock?: Clock | undefined;
}

/** An export as its server describes it. */
export interface NbdExportInfo {
  /** The server's name for the export, or the name that was asked for. */
  exportName: string;
  description: string;
  sizeBytes: number;
  /** `TransmissionFlag`s. */
  transmissionFlags: number;
  /** Block sizes; the protocol's defaults if the server names none. */
  blockSize: BlockSizeInfo;
}

/** Terms that one connection has negotiated. */
export interface NbdAgreement extends NbdExportInfo {
  replies: ReplyMode;
  /** Ids by context name. A context that the server did not grant is missing. */
  contexts: ReadonlyMap<string, number>;
}

/**
 * An export on another server. Ranges must lie inside the export, or the call rejects with
 * `EINVAL`; empty ones resolve at once. Any number of calls may run at once; overlapping ones have
 * no order.
 *
 * Rejections: NbdRequestError with the server's errno as code. `ENOTSUP` and `EPERM` also come for
 * operations that the server does not offer, without asking it. `ERR_NBD_PROTOCOL`,
 * `ERR_NBD_DISCONNECTED`, `ERR_ABORTED`, `ERR_CLOSED`. A connection with patience also rejects with
 * `ERR_NBD_SILENT` and `ERR_NBD_UNANSWERED`.
 */
export interface NbdRemote {
  read(offset: number, lengthBytes: number, sink: NbdReadSink, options?: NbdReadOptions): Promise<void>;
  /** Writes `source`, which is the caller's again when the promise settles. */
  write(source: Buffer, offset: number, options?: NbdWriteOptions): Promise<void>;
  writeZeroes(offset: number, lengthBytes: number, options?: NbdWriteZeroesOptions): Promise<void>;
  trim(offset: number, lengthBytes: number, options?: NbdWriteOptions): Promise<void>;
  flush(options?: NbdRequestOptions): Promise<void>;
  cache(offset: number, lengthBytes: number, options?: NbdRequestOptions): Promise<void>;
  /**
   * Resolves to extents that begin at `offset`, by context: at least one each, never beyond the
   * range. They may end before the range does. Neighbours may be alike.
   */
  blockStatus(offset: number, lengthBytes: number, options?: NbdBlockStatusOptions): Promise<Map<string, StatusExtent[]>>;
  /** Awaits the requests in flight, sends DISC and closes. Idempotent. */
  disconnect(): Promise<void>;
}

export interface NbdConnectOptions {
  /** Name of the export. Default: the URI's, else the empty name. */
  exportName?: string | undefined;
  /** Metadata contexts to select, for `blockStatus`. */
  contexts?: readonly string[] | undefined;
  /**
   * Best reply mode to ask for; the client takes the best that the server has. Default `extended`.
   */
  replies?: ReplyMode | undefined;
  /** Bound on the requests in flight; further ones wait in line. Default 64. */
  maxInFlight?: number | undefined;
  /** Ends the attempt to connect; later it has no effect. */
  signal?: AbortSignal | undefined;
  /** Timeout for connecting and the handshake together, in ms. Default 30 000; 0 means none. */
  timeoutMs?: number | undefined;
  /**
   * Bounds on the silence of a connection. Only for servers that answer a read of no bytes at once,
   * as Copse's do. One place of the window is kept for that. Default: no bounds.
   */
  patience?: PatienceOptions | undefined;
  /**
   * TCP_USER_TIMEOUT: time that bytes may stay unacknowledged before the kernel ends the
   * connection, in ms. Default: the kernel's.
   */
  userTimeoutMs?: number | undefined;
  log?: Logger | undefined;
}
