/** The contract between the server's handshake and the owner of the exports. */
import type { Clock } from '../../base/clock.js';
import type { ContextName, ReplyMode } from '../codec/constant.js';
import type { BlockSizeInfo, ExportEntry } from '../codec/option.js';

/** An export as INFO describes it. */
export interface ExportFacts {
  /** Canonical name; it may differ from the name that was asked for. */
  name: string;
  /** Text for people; may be empty. Cut to 4096 bytes on the wire. */
  description: string;
  sizeBytes: number;
  /**
   * `TransmissionFlag`s. The handshake adds HAS_FLAGS, and clears SEND_DF and BLOCK_STATUS_PAYLOAD
   * if the reply mode rules them out.
   */
  transmissionFlags: number;
  /** Powers of two except the maximum, by "Size constraints". */
  blockSize: BlockSizeInfo;
}

export interface HandshakeExport<E> extends ExportFacts {
  /** Value of the owner, which the handshake only carries. */
  value: E;
  /**
   * Lets go of the export. Called once per export that `open` gave, unless it went into a Session.
   */
  release(): void;
}

export interface HandshakeDirectory<E> {
  /** Lists the exports. The handshake reads entry by entry, as fast as the client takes them. */
  list(): Iterable<ExportEntry>;
  /** Number of exports of `list`. If absent, a few are assumed. */
  exportCount?(): number;
  /**
   * Describes an export to a client that only asks, and holds nothing. If absent, the handshake
   * opens the export and lets go of it.
   */
  describe?: ((name: string) => Promise<ExportFacts | undefined>) | undefined;
  /**
   * Opens an export; `undefined` if there is none of that name. The empty name asks for the default
   * export. The client gets the message of a rejection.
   */
  open(name: string): Promise<HandshakeExport<E> | undefined>;
}

export interface HandshakeOptions {
  /** Timeout of the handshake without questions about existing exports, in ms; 0 means none. */
  timeoutMs: number;
  clock?: Clock | undefined;
  signal?: AbortSignal | undefined;
}

/** Terms that were negotiated. The owner of the session releases the export. */
export interface Session<E> {
  export: HandshakeExport<E>;
  replies: ReplyMode;
  /** Flags as the client was told. */
  transmissionFlags: number;
  /** Ids that BLOCK_STATUS replies carry; empty if the client selected no context. */
  contexts: ReadonlyMap<ContextName, number>;
  /** True if the client asked for block sizes with GO, so it keeps to them. */
  blockSizeAgreed: boolean;
  /** Bytes that the client sent behind the handshake: the first of the transmission. */
  leftover: Buffer;
}
