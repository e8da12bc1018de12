/** A real HTTP(S) server over one content, whose answers a test may twist. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface ScriptedServer {
  readonly url: string;
  readonly requests: { path: string; headers: IncomingMessage['headers'] }[];
  content: Buffer;
  etag: string | undefined;
  lastModified: string | undefined;
  /** Answers instead of `serve` while set. */
  handler: Handler | undefined;
  /** The honest answer. */
  serve: Handler;
  close(): Promise<void>;
}

export async function scriptedServer(content: Buffer, tls?: { key: Buffer; cert: Buffer }): Promise<ScriptedServer> {
  const listener: Handler = (request, response) => {
    scripted.requests.push({ path: request.url ?? '', headers: request.headers });
    (scripted.handler ?? scripted.serve)(request, response);
  };
  // None that a client of a busy process keeps ends just when it is used again.
  const options = { keepAliveTimeout: 60_000 };
  const server = tls === undefined ? createServer(options, listener) : createTlsServer({ ...options, ...tls }, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const scripted: ScriptedServer = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/image.raw`,
    requests: [],
    content,
    etag: '"one"',
    lastModified: 'Sat, 21 Nov 2026 10:00:00 GMT',
    handler: undefined,
    serve: (request, response) => serve(scripted, request, response),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return scripted;
}

function serve(server: ScriptedServer, request: IncomingMessage, response: ServerResponse): void {
  if (server.etag !== undefined) response.setHeader('etag', server.etag);
  if (server.lastModified !== undefined) response.setHeader('last-modified', server.lastModified);
  const ifMatch = request.headers['if-match'];
  if (ifMatch !== undefined && ifMatch !== server.etag) {
    response.writeHead(412).end();
    return;
  }
  const { first, last } = rangeOf(request);
  if (first >= server.content.length) {
    response.writeHead(416, { 'content-range': `bytes */${server.content.length}` }).end();
    return;
  }
  const body = server.content.subarray(first, last + 1);
  response.writeHead(206, {
    'content-range': `bytes ${first}-${first + body.length - 1}/${server.content.length}`,
    'content-length': body.length,
  });
  response.end(body);
}

export function rangeOf(request: IncomingMessage): { first: number; last: number } {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  return { first: Number(match?.[1]), last: Number(match?.[2]) };
}
