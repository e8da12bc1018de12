/** What the server's handshake needs from the one who serves, and what it hands back. */
import type { Clock } from '../../base/clock.js';
import type { ContextName, ReplyMode } from '../codec/constant.js';
import type { BlockSizeInfo, ExportEntry } from '../codec/option.js';

/** An export as INFO describes it. */
export interface ExportFacts {
  /** Canonical; may differ from the name that was asked for. */
  name: string;
  /** For people; may be empty. Cut to 4096 bytes on the wire. */
  description: string;
  sizeBytes: number;
  /** `TransmissionFlag`s. HAS_FLAGS is added, SEND_DF and BLOCK_STATUS_PAYLOAD are taken away where replies don't allow them. */
  transmissionFlags: number;
  /** Powers of two but the maximum, as "Size constraints" wants them. */
  blockSize: BlockSizeInfo;
}

export interface HandshakeExport<E> extends ExportFacts {
  /** The server's own; the handshake only carries it. */
  value: E;
  /** Lets go of the export. Called once for each export that `open` gave, unless it went into a Session. */
  release(): void;
}

export interface HandshakeDirectory<E> {
  /** Read entry by entry, as fast as the client takes them. */
  list(): Iterable<ExportEntry>;
  /** How many exports `list` tells of; absent: a few. */
  exportCount?(): number;
  /** As `open`, for a client that only asks: nothing is held. Absent: the export is opened and let go of. */
  describe?: ((name: string) => Promise<ExportFacts | undefined>) | undefined;
  /** `undefined` when there is none of that name. The empty name asks for the default export. A rejection's message is told to the client. */
  open(name: string): Promise<HandshakeExport<E> | undefined>;
}

export interface HandshakeOptions {
  /** For the whole handshake, but for questions about exports that exist; 0 for ever. */
  timeoutMs: number;
  clock?: Clock | undefined;
  signal?: AbortSignal | undefined;
}

/** What was agreed on. Its owner releases the export. */
export interface Session<E> {
  export: HandshakeExport<E>;
  replies: ReplyMode;
  /** The flags as the client was told. */
  transmissionFlags: number;
  /** Ids that BLOCK_STATUS replies carry; empty when the client selected none. */
  contexts: ReadonlyMap<ContextName, number>;
  /** The client asked for block sizes with GO, so it keeps to them. */
  blockSizeAgreed: boolean;
  /** What the client sent behind the handshake: the first bytes of the transmission. */
  leftover: Buffer;
}
