/** A server whose handshake is the project's own and whose transmission the test writes byte by byte. */

import { createServer, type Socket } from 'node:net';
import type { Test } from 'tap';
import type { PatienceOptions } from '../../../src/nbd/client/contract.js';
import { NbdClient } from '../../../src/nbd/client/nbd-client.js';
import { type ReplyMode, TransmissionFlag } from '../../../src/nbd/codec/constant.js';
import { emptyRequest, parseCompactRequest, parseExtendedRequest, type Request } from '../../../src/nbd/codec/frame.js';
import { negotiate } from '../../../src/nbd/server/handshake.js';
import { RawPeer, u16, u32, u64 } from '../server/raw-peer.js';

const F = TransmissionFlag;
const allFlags = F.SEND_FLUSH | F.SEND_FUA | F.SEND_TRIM | F.SEND_WRITE_ZEROES | F.SEND_DF | F.SEND_CACHE | F.SEND_FAST_ZERO;

export interface Scripted {
  client: NbdClient;
  peer: RawPeer;
  /** The next request's header. */
  request(): Promise<Request>;
  /** A chunk in the mode that was agreed on. */
  chunk(request: Request, flags: number, type: number, ...payload: Buffer[]): Buffer;
}

/** Listens on a port of the kernel's choice until the test ends; every connection is shaken hands with. */
export async function listen(t: Test, onPeer: (peer: RawPeer, replies: ReplyMode) => void, sizeBytes: () => number): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    const exported = {
      value: 0,
      name: 'disk',
      description: 'scripted',
      sizeBytes: sizeBytes(),
      transmissionFlags: allFlags,
      blockSize: { minimumBytes: 1, preferredBytes: 4096, maximumBytes: 32 * 2 ** 20 },
      release: () => {},
    };
    const directory = { list: () => [exported], open: async () => exported };
    negotiate(socket, directory, { timeoutMs: 60_000 }).then(
      (session) => (session === undefined ? socket.end() : onPeer(new RawPeer(socket), session.replies)),
      () => socket.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export async function script(t: Test, replies: ReplyMode, maxInFlight = 64, patience?: PatienceOptions): Promise<Scripted> {
  const attached: { peer?: RawPeer; replies?: ReplyMode } = {};
  let arrived = (): void => {};
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const port = await listen(
    t,
    (peer, agreed) => {
      Object.assign(attached, { peer, replies: agreed });
      arrived();
    },
    () => 2 ** 50,
  );
  const contexts = ['base:allocation', 'x-copse:cached'];
  const client = await NbdClient.connect({ host: '127.0.0.1', port }, { replies, contexts, maxInFlight, patience });
  await arrival;
  const { peer } = attached;
  if (peer === undefined || attached.replies !== replies || client.replies !== replies)
    throw new Error('not the replies that were asked for');
  t.teardown(() => client.destroy());
  const extended = replies === 'extended';
  return {
    client,
    peer,
    async request() {
      const request = emptyRequest();
      const header = await peer.read(extended ? 32 : 28);
      if (!(extended ? parseExtendedRequest : parseCompactRequest)(header, 0, request)) throw new Error('no request');
      return request;
    },
    chunk(request, flags, type, ...payload) {
      const body = Buffer.concat(payload);
      const cookie = [u32(request.cookieHigh), u32(request.cookieLow)];
      const head = [u32(extended ? 0x6e8a278c : 0x668e33ef), u16(flags), u16(type), ...cookie];
      return Buffer.concat([...head, ...(extended ? [u64(request.offset), u64(body.length)] : [u32(body.length)]), body]);
    },
  };
}
