/**
 * A real HTTP server whose answers a test writes the script for: right by default, slow, dead, lying, cut off or changed on demand.
 *
 * Invariant: it counts what it was asked for and what it sent, so that tests can tell a fetch from a hit.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Test } from 'tap';
import { ownHost } from './own-host.js';

/** What happens to one request instead of the right answer. */
export type Misbehaviour =
  /** The right answer, later. */
  | { kind: 'delay'; delayMs: number }
  /** Never an answer; the connection stays open. */
  | { kind: 'hang' }
  | { kind: 'status'; status: number }
  /** The connection is reset before a byte is answered. */
  | { kind: 'reset' }
  /** The right header, so many bytes, then a reset. */
  | { kind: 'cut'; bytes: number }
  /** The right header, so many bytes, then only this side of the connection is closed. */
  | { kind: 'half-close'; bytes: number }
  /** The right header, so many bytes, then silence. */
  | { kind: 'stall'; bytes: number }
  /** The whole file with status 200. */
  | { kind: 'ignore-range' }
  /** A page for people with status 200. */
  | { kind: 'page' }
  /** A Content-Range beside the one that was asked for. */
  | { kind: 'shifted' }
  /** A part that is shorter than what was asked for, and says so. */
  | { kind: 'short' };

export interface RangeRequest {
  /** From 0, over all requests. */
  index: number;
  start: number;
  /** Exclusive. */
  end: number;
}

export class ScriptedOrigin {
  readonly requests: RangeRequest[] = [];
  /** Bytes of content that were sent. */
  sentBytes = 0;
  /** Requests that came while the origin held its answers back, and that somebody waits for still. */
  heldCount = 0;
  /** Decides the fate of each request; `undefined` answers it rightly. */
  script: (request: RangeRequest) => Misbehaviour | undefined = () => undefined;
  #bytes: Buffer;
  #gate: { opened: Promise<void>; open: () => void } | undefined;
  #version = 1;
  #port = 0;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #hasEtag: boolean;

  constructor(bytes: Buffer, options: { etag?: boolean } = {}) {
    this.#bytes = bytes;
    this.#hasEtag = options.etag !== false;
  }

  /** Started, and ended with the test. */
  static async start(t: Test, bytes: Buffer, options: { etag?: boolean } = {}): Promise<ScriptedOrigin> {
    const origin = new ScriptedOrigin(bytes, options);
    await origin.start();
    t.teardown(() => origin.stop());
    return origin;
  }

  get url(): string {
    return `http://${ownHost}:${this.#port}/image.raw`;
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  /** Requests so far that asked for a byte of this range: others, of clients that are leaving for example, may come at any time. */
  requestCount(offset: number, lengthBytes: number): number {
    return this.requests.filter(({ start, end }) => start < offset + lengthBytes && end > offset).length;
  }

  /** On the same port as before. */
  async start(): Promise<void> {
    const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => void this.#answer(request, response));
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(this.#port, ownHost, resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Dead at once: connections are reset, new ones refused. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  /** Other content under the same URL, with validators of its own. */
  replace(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#version += 1;
  }

  /** The next request, or the next ones, misbehave; after them all is right again. */
  next(...misbehaviours: Misbehaviour[]): void {
    const queue = [...misbehaviours];
    this.script = () => queue.shift();
  }

  always(misbehaviour: Misbehaviour | undefined): void {
    this.script = () => misbehaviour;
  }

  /** From now on no request is answered, rightly or not, before `release`. Ends with the test. */
  hold(t: Test): void {
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#gate = { opened, open };
    t.teardown(() => this.release());
  }

  release(): void {
    this.#gate?.open();
    this.#gate = undefined;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const size = this.#bytes.length;
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const start = Number(match?.[1] ?? 0);
    const end = Math.min(Number(match?.[2] ?? size - 1) + 1, size);
    const range = { index: this.requests.length, start, end };
    this.requests.push(range);
    if (this.#gate !== undefined) await this.#wait(this.#gate.opened, response);
    const fate = this.script(range);
    const headers: Record<string, string> = {
      'accept-ranges': 'bytes',
      'last-modified': new Date(1_700_000_000_000 + this.#version * 60_000).toUTCString(),
      ...(this.#hasEtag ? { etag: `"v${this.#version}"` } : {}),
    };
    const ifMatch = request.headers['if-match'];
    if (this.#hasEtag && ifMatch !== undefined && ifMatch !== headers['etag']) {
      response.writeHead(412, headers).end();
      return;
    }
    const ifRange = request.headers['if-range'];
    const changed = ifRange !== undefined && ifRange !== headers['etag'] && ifRange !== headers['last-modified'];
    const whole = match === null || changed || fate?.kind === 'ignore-range';
    if (fate?.kind === 'page') {
      const page = '<html>Your session has expired. Please log in.</html>'.repeat(Math.ceil((end - start) / 50));
      response.writeHead(200, { 'content-type': 'text/html', 'content-length': String(end - start) }).end(page.slice(0, end - start));
      return;
    }
    if (fate?.kind === 'reset') {
      request.socket.resetAndDestroy();
      return;
    }
    if (fate?.kind === 'hang') return;
    if (fate?.kind === 'status') {
      response.writeHead(fate.status, { 'content-length': '0' }).end();
      return;
    }
    const body = whole ? this.#bytes : this.#bytes.subarray(start, fate?.kind === 'short' ? start + ((end - start) >> 1) : end);
    headers['content-length'] = String(body.length);
    const told = fate?.kind === 'shifted' ? 4096 : 0;
    if (!whole) headers['content-range'] = `bytes ${start + told}-${start + told + body.length - 1}/${size}`;
    const send = (): void => {
      response.writeHead(whole ? 200 : 206, headers);
      if (request.method === 'HEAD') response.end();
      else this.#send(response, request.socket, body, fate);
    };
    if (fate?.kind === 'delay') setTimeout(send, fate.delayMs);
    else send();
  }

  /** Until the gate opens, or whoever asked has given up. */
  async #wait(opened: Promise<void>, response: ServerResponse): Promise<void> {
    this.heldCount += 1;
    await Promise.race([opened, new Promise<void>((resolve) => response.once('close', resolve))]);
    this.heldCount -= 1;
  }

  #send(response: ServerResponse, socket: Socket, body: Buffer, fate: Misbehaviour | undefined): void {
    if (fate?.kind === 'cut' || fate?.kind === 'half-close' || fate?.kind === 'stall') {
      const part = body.subarray(0, fate.bytes);
      this.sentBytes += part.length;
      response.write(part, () => {
        if (fate.kind === 'cut') socket.destroy();
        else if (fate.kind === 'half-close') socket.end();
      });
      return;
    }
    this.sentBytes += body.length;
    response.end(body);
  }
}
