/**
 * What the conformance suite is put under: a server, how to reach it, and what it is known to hold.
 *
 * Invariant: the rules know a subject by this interface alone, so that any transport (TypeScript over a unix socket, TCP, TLS, the
 * native fast path) and any server are judged by the same words.
 */
import type { Duplex } from 'node:stream';
import { type EnterOptions, enter } from './wire/handshake.js';
import type { Replies, Session } from './wire/session.js';

export interface KnownExport {
  name: string;
  /** What LIST and NBD_INFO_DESCRIPTION say; not asked for when absent. */
  description?: string;
}

export interface KnownImage extends KnownExport {
  /** Read-only content. The part from `holeStart` to `holeEnd` is a hole. Its size is no multiple of 512. */
  bytes: Buffer;
  holeStart: number;
  holeEnd: number;
}

export interface KnownFile extends KnownExport {
  /** Read-write; over 33 MiB, so that the maximum payload of 32 MiB has room. All zeros at first; each rule keeps to a region of its own. */
  sizeBytes: number;
}

/** Holds back and breaks what is asked of one range of the read-write file. */
export interface Fault {
  /** Requests that touch this range wait from `hold` to `release`, or fail with what `fail` named. */
  readonly offset: number;
  readonly lengthBytes: number;
  hold(): void;
  /** Resolves once so many requests wait. */
  waiting(count: number): Promise<void>;
  release(): void;
  /** Node's name of an error (`EIO`, `ENOSPC`), or nothing to let requests pass again. */
  fail(code: string | undefined): void;
}

export interface Subject {
  readonly name: string;
  /** A new connection on which nothing was sent yet. */
  connect(): Promise<Duplex>;
  readonly image: KnownImage;
  readonly file: KnownFile;
  /** Where faults can be injected; rules that need it are skipped without. */
  readonly fault?: Fault;
  /** What the server has, beyond the specification's baseline. */
  readonly has: { extended: boolean; cachedContext: boolean; holes: boolean };
  /** Rules that this server is known not to keep, by name, with the reason: skipped. For other people's servers. */
  readonly deviations?: Readonly<Record<string, string>>;
}

/** Modes of reply that the subject has. */
export function modes(subject: Subject): Replies[] {
  return subject.has.extended ? ['simple', 'structured', 'extended'] : ['simple', 'structured'];
}

/** Connections that are destroyed together at the end of a rule. */
export class Client {
  readonly #subject: Subject;
  readonly #streams: Duplex[] = [];

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  async connect(): Promise<Duplex> {
    const stream = await this.#subject.connect();
    this.#streams.push(stream);
    return stream;
  }

  async image(options?: EnterOptions): Promise<Session> {
    return await enter(await this.connect(), this.#subject.image.name, options);
  }

  async file(options?: EnterOptions): Promise<Session> {
    return await enter(await this.connect(), this.#subject.file.name, options);
  }

  close(): void {
    for (const stream of this.#streams) stream.destroy();
  }
}
