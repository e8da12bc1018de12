/**
 * The client's side of the transmission phase. Each reply is checked against the rules that the specification sets for its form, whatever
 * the test is about; a reply that breaks one fails the test that happened to receive it.
 */
import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { patienceMs } from '../../support/wait.js';
import type { ByteStream } from './byte-stream.js';
import {
  Cmd,
  CmdFlag,
  extendedReplyMagic,
  extendedRequestMagic,
  ReplyType,
  replyFlagDone,
  requestMagic,
  simpleReplyMagic,
  structuredReplyMagic,
} from './constant.js';
import type { ExportInfo } from './handshake.js';

export type Replies = 'simple' | 'structured' | 'extended';

export interface Request {
  type: number;
  flags?: number;
  offset?: number | bigint;
  lengthBytes?: number | bigint;
  payload?: Buffer;
  /** Chosen by the session when absent. */
  cookie?: bigint;
  magic?: number;
}

export interface StatusExtent {
  lengthBytes: bigint;
  flags: bigint;
}

export interface Answer {
  /** 0, or the first error that was told. */
  error: number;
  message: string;
  /** Content of a read, holes as zeros; what no chunk covered is not there (see `coveredBytes`). */
  data: Buffer;
  coveredBytes: number;
  dataChunks: number;
  holeChunks: number;
  /** By context id. */
  status: Map<number, StatusExtent[]>;
  /** Chunks in the whole reply; 0 for a simple reply. */
  chunks: number;
}

interface Pending {
  request: Required<Pick<Request, 'type' | 'flags'>> & { offset: bigint; lengthBytes: bigint };
  answer: Answer;
  covered: { start: bigint; end: bigint }[];
  done: boolean;
}

export interface SessionShape {
  info: ExportInfo;
  replies: Replies;
  contexts: Map<number, string>;
}

export class Session {
  readonly bytes: ByteStream;
  readonly info: ExportInfo;
  readonly replies: Replies;
  readonly contexts: Map<number, string>;
  /** Cookies in the order in which their replies ended. */
  readonly finished: bigint[] = [];
  readonly #pending = new Map<bigint, Pending>();
  #nextCookie = 0x8123_4567_89ab_cdefn;

  constructor(bytes: ByteStream, shape: SessionShape) {
    this.bytes = bytes;
    this.info = shape.info;
    this.replies = shape.replies;
    this.contexts = shape.contexts;
  }

  contextId(name: string): number {
    for (const [id, known] of this.contexts) if (known === name) return id;
    throw new Error(`context ${name} was not granted`);
  }

  /** The request's bytes, and from now on its reply is expected. */
  encode(request: Request): { cookie: bigint; bytes: Buffer } {
    const cookie = request.cookie ?? this.#nextCookie++;
    const offset = BigInt(request.offset ?? 0);
    const lengthBytes = BigInt(request.lengthBytes ?? request.payload?.length ?? 0);
    let flags = request.flags ?? 0;
    if (this.replies === 'extended' && request.type === Cmd.write) flags |= CmdFlag.payloadLen;
    const header = Buffer.alloc(this.replies === 'extended' ? 32 : 28);
    header.writeUInt32BE(request.magic ?? (this.replies === 'extended' ? extendedRequestMagic : requestMagic), 0);
    header.writeUInt16BE(flags, 4);
    header.writeUInt16BE(request.type, 6);
    header.writeBigUInt64BE(cookie, 8);
    header.writeBigUInt64BE(offset, 16);
    if (this.replies === 'extended') header.writeBigUInt64BE(lengthBytes, 24);
    else header.writeUInt32BE(Number(lengthBytes), 24);
    const answer: Answer = {
      error: 0,
      message: '',
      data: Buffer.alloc(0),
      coveredBytes: 0,
      dataChunks: 0,
      holeChunks: 0,
      status: new Map(),
      chunks: 0,
    };
    if (request.type === Cmd.read && lengthBytes <= 64n * 1024n * 1024n) answer.data = Buffer.alloc(Number(lengthBytes));
    if (request.type !== Cmd.disc) {
      assert.ok(!this.#pending.has(cookie), 'the test uses a cookie twice');
      this.#pending.set(cookie, { request: { type: request.type, flags, offset, lengthBytes }, answer, covered: [], done: false });
    }
    return { cookie, bytes: Buffer.concat([header, request.payload ?? Buffer.alloc(0)]) };
  }

  send(request: Request): bigint {
    const { cookie, bytes } = this.encode(request);
    this.bytes.send(bytes);
    return cookie;
  }

  /** Sends and waits for the whole reply. */
  async do(request: Request): Promise<Answer> {
    return await this.answer(this.send(request));
  }

  /** Reads replies, whosever they are, until this one is complete. */
  async answer(cookie: bigint, timeoutMs = patienceMs): Promise<Answer> {
    const pending = this.#pending.get(cookie);
    assert.ok(pending, `no request of cookie ${cookie} is under way`);
    while (!pending.done) await this.#message(timeoutMs);
    this.#pending.delete(cookie);
    return pending.answer;
  }

  async read(offset: number | bigint, lengthBytes: number, flags = 0): Promise<Answer> {
    return await this.do({ type: Cmd.read, offset, lengthBytes, flags });
  }

  async write(offset: number | bigint, payload: Buffer, flags = 0): Promise<Answer> {
    return await this.do({ type: Cmd.write, offset, payload, flags });
  }

  async status(offset: number, lengthBytes: number, flags = 0): Promise<Answer> {
    return await this.do({ type: Cmd.blockStatus, offset, lengthBytes, flags });
  }

  /** The polite end; resolves to what still came before the server closed. */
  async disconnect(): Promise<Buffer> {
    this.send({ type: Cmd.disc });
    return await this.bytes.rest('end of the connection after NBD_CMD_DISC');
  }

  async #message(timeoutMs: number): Promise<void> {
    const magic = (await this.bytes.take(4, 'magic of a reply', timeoutMs)).readUInt32BE(0);
    if (magic === simpleReplyMagic) await this.#simple();
    else if (magic === structuredReplyMagic || magic === extendedReplyMagic) await this.#chunk(magic === extendedReplyMagic);
    else assert.fail(`0x${magic.toString(16)} is no reply's magic`);
  }

  #find(cookie: bigint): Pending {
    const pending = this.#pending.get(cookie);
    assert.ok(pending, `a reply for cookie 0x${cookie.toString(16)}, which nobody waits for`);
    assert.ok(!pending.done, `a second reply for cookie 0x${cookie.toString(16)}`);
    return pending;
  }

  async #simple(): Promise<void> {
    const header = await this.bytes.take(12, 'simple reply');
    const cookie = header.readBigUInt64BE(4);
    const pending = this.#find(cookie);
    const { answer, request } = pending;
    if (this.replies !== 'simple') {
      assert.equal(this.replies, 'structured', 'with extended headers every reply is an extended one');
      assert.ok(request.type !== Cmd.read && request.type !== Cmd.blockStatus, 'a simple reply to a request that demands a structured one');
    }
    answer.error = header.readUInt32BE(0);
    checkError(answer.error, true);
    if (request.type === Cmd.read && answer.error === 0) {
      answer.data = await this.bytes.take(Number(request.lengthBytes), 'data of a simple reply');
      answer.coveredBytes = answer.data.length;
    }
    this.#finish(cookie, pending);
  }

  async #chunk(extended: boolean): Promise<void> {
    assert.equal(extended, this.replies === 'extended', 'the replies have the form that was negotiated');
    assert.notEqual(this.replies, 'simple', 'no structured replies without negotiation');
    const header = await this.bytes.take(extended ? 28 : 16, 'header of a reply chunk');
    const flags = header.readUInt16BE(0);
    const type = header.readUInt16BE(2);
    const cookie = header.readBigUInt64BE(4);
    const pending = this.#find(cookie);
    if (extended) assert.equal(header.readBigUInt64BE(12), pending.request.offset, "an extended reply repeats the request's offset");
    const lengthBytes = extended ? Number(header.readBigUInt64BE(20)) : header.readUInt32BE(12);
    assert.equal(flags & ~replyFlagDone, 0, 'no reply flags but DONE');
    assert.ok(lengthBytes <= 64 * 1024 * 1024 + 8, `a chunk of ${lengthBytes} bytes`);
    const payload = await this.bytes.take(lengthBytes, `payload of a chunk of type ${type}`);
    pending.answer.chunks += 1;
    this.#content(pending, type, payload);
    if (type === ReplyType.none) assert.ok(flags & replyFlagDone, 'NBD_REPLY_TYPE_NONE is always the last');
    if (flags & replyFlagDone) this.#finish(cookie, pending);
  }

  #content(pending: Pending, type: number, payload: Buffer): void {
    const { answer, request } = pending;
    if (type === ReplyType.none) {
      assert.equal(payload.length, 0, 'NBD_REPLY_TYPE_NONE has no payload');
    } else if (type === ReplyType.offsetData) {
      assert.ok(payload.length >= 9, 'NBD_REPLY_TYPE_OFFSET_DATA has at least one byte');
      answer.dataChunks += 1;
      this.#cover(pending, payload.readBigUInt64BE(0), payload.subarray(8));
    } else if (type === ReplyType.offsetHole) {
      assert.equal(payload.length, 12, 'length of NBD_REPLY_TYPE_OFFSET_HOLE');
      assert.ok(payload.readUInt32BE(8) > 0, 'a hole is not empty');
      answer.holeChunks += 1;
      this.#cover(pending, payload.readBigUInt64BE(0), Buffer.alloc(payload.readUInt32BE(8)));
    } else if (type === ReplyType.blockStatus || type === ReplyType.blockStatusExt) {
      assert.equal(request.type, Cmd.blockStatus, 'block status answers NBD_CMD_BLOCK_STATUS only');
      assert.equal(type === ReplyType.blockStatusExt, this.replies === 'extended', 'BLOCK_STATUS_EXT if and only if headers are extended');
      this.#status(pending, type === ReplyType.blockStatusExt, payload);
    } else if (type === ReplyType.error || type === ReplyType.errorOffset) {
      const tailBytes = type === ReplyType.errorOffset ? 8 : 0;
      assert.ok(payload.length >= 6 + tailBytes, 'an error chunk has its fixed fields');
      const error = payload.readUInt32BE(0);
      checkError(error, false);
      const messageBytes = payload.readUInt16BE(4);
      assert.ok(6 + messageBytes + tailBytes <= payload.length, "the message fits its chunk's length");
      assert.ok(messageBytes < 900, `QEMU drops connections over error texts of some 990 bytes; this one has ${messageBytes}`);
      assert.ok(isUtf8(payload.subarray(6, 6 + messageBytes)), 'the text of an error is UTF-8');
      if (tailBytes > 0) {
        const offset = payload.readBigUInt64BE(6 + messageBytes);
        assert.ok(offset >= request.offset && offset <= request.offset + request.lengthBytes, 'the offset of an error lies in the request');
      }
      if (answer.error === 0) {
        answer.error = error;
        answer.message = payload.toString('utf8', 6, 6 + messageBytes);
      }
    } else {
      assert.fail(`a reply chunk of unknown type ${type}`);
    }
  }

  #cover(pending: Pending, offset: bigint, bytes: Buffer): void {
    const { answer, request, covered } = pending;
    const end = offset + BigInt(bytes.length);
    assert.equal(request.type, Cmd.read, 'content answers NBD_CMD_READ only');
    assert.ok(offset >= request.offset && end <= request.offset + request.lengthBytes, 'content lies inside the request');
    assert.ok(
      covered.every((range) => end <= range.start || offset >= range.end),
      'content chunks do not overlap',
    );
    covered.push({ start: offset, end });
    answer.coveredBytes += bytes.length;
    bytes.copy(answer.data, Number(offset - request.offset));
    if (request.flags & CmdFlag.df) assert.equal(covered.length, 1, 'at most one content chunk with NBD_CMD_FLAG_DF');
  }

  #status(pending: Pending, extended: boolean, payload: Buffer): void {
    const { answer, request } = pending;
    const id = payload.readUInt32BE(0);
    const headBytes = extended ? 8 : 4;
    const extentBytes = extended ? 16 : 8;
    const count = (payload.length - headBytes) / extentBytes;
    assert.ok(Number.isInteger(count) && count > 0, 'one or more whole descriptors');
    if (extended) assert.equal(payload.readUInt32BE(4), count, 'the count of descriptors is the number of them');
    assert.ok(this.contexts.has(id), 'the context was negotiated');
    assert.ok(!answer.status.has(id), 'exactly one status chunk for a context');
    const extents: StatusExtent[] = [];
    let sum = 0n;
    for (let index = 0; index < count; index += 1) {
      const at = headBytes + index * extentBytes;
      const lengthBytes = extended ? payload.readBigUInt64BE(at) : BigInt(payload.readUInt32BE(at));
      const flags = extended ? payload.readBigUInt64BE(at + 8) : BigInt(payload.readUInt32BE(at + 4));
      assert.ok(lengthBytes > 0n, 'an extent is not empty');
      assert.ok(sum < request.lengthBytes, 'all extents but the last end before the request does');
      sum += lengthBytes;
      extents.push({ lengthBytes, flags });
    }
    if (request.flags & CmdFlag.reqOne) {
      assert.equal(count, 1, 'exactly one extent with NBD_CMD_FLAG_REQ_ONE');
      assert.ok(sum <= request.lengthBytes, 'no longer than the request with NBD_CMD_FLAG_REQ_ONE');
    }
    assert.ok(request.offset + sum <= this.info.sizeBytes, 'no status beyond the export');
    answer.status.set(id, extents);
  }

  #finish(cookie: bigint, pending: Pending): void {
    const { answer, request } = pending;
    pending.done = true;
    this.finished.push(cookie);
    if (answer.error !== 0) return;
    if (request.type === Cmd.read)
      assert.equal(BigInt(answer.coveredBytes), request.lengthBytes, 'a successful read covers its whole range');
    if (request.type === Cmd.blockStatus) assert.equal(answer.status.size, this.contexts.size, 'one status chunk for each context');
  }
}

const known: ReadonlySet<number> = new Set([1, 5, 12, 22, 28, 75, 95]);

/** ESHUTDOWN is left out on purpose: QEMU hands it to the guest, so Copse never sends it. */
function checkError(error: number, zeroAllowed: boolean): void {
  assert.ok(known.has(error) || (zeroAllowed && error === 0), `${error} is no error value of the specification that may be sent here`);
}
