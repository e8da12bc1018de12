/**
 * A peer that speaks the peer protocol as it should, and answers reads of contents with whatever a test has it say.
 *
 * Handshakes are the project's own; the transmission is written here, so that answers may be of any length.
 */
import { createServer, type Socket } from 'node:net';
import type { Test } from 'tap';
import type { NodeStatement } from '../../../src/cluster/node.js';
import { CACHED_CONTEXT, CachedFlag, Command, TransmissionFlag } from '../../../src/nbd/codec/constant.js';
import {
  blockStatusBytes,
  chunkHeaderBytes,
  emptyRequest,
  parseCompactRequest,
  parseExtendedRequest,
  putBlockStatus,
  putOffsetData,
  type Request,
} from '../../../src/nbd/codec/frame.js';
import { negotiate, type Session } from '../../../src/nbd/server/handshake.js';
import { type PeerExport, parsePeerExport } from '../../../src/peer/wire/export-name.js';
import { StatementCache, statementPageBytes } from '../../../src/peer/wire/statement-page.js';
import { RawPeer } from '../../nbd/server/raw-peer.js';
import { statementOf } from '../../peer/node-statement.js';

export interface Asked {
  kind: 'home' | 'held';
  id: string;
  offset: number;
  lengthBytes: number;
}

type Served = Extract<PeerExport, { kind: 'node' | 'home' | 'held' }>;

export interface LiarOptions {
  id: string;
  address: string;
  /** What it sends as the data of a read. */
  answer(asked: Asked): Buffer;
  statement?: Partial<NodeStatement>;
  /** Of a content's export, where it is not what it says it is. */
  exportBytes?: number;
}

export class Liar {
  readonly id: string;
  readonly address: string;
  /** Reads of contents, in their order. */
  readonly asked: Asked[] = [];
  /** Exports that were attached to, in their order. */
  readonly opened: string[] = [];
  readonly #options: LiarOptions;
  readonly #statementCache = new StatementCache();
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#greet(socket));
  readonly #statement: NodeStatement;

  private constructor(options: LiarOptions) {
    const { id, address, statement } = options;
    this.id = id;
    this.address = address;
    this.#options = options;
    this.#statement = statementOf(id, { address, cluster: 'faults', ...statement });
  }

  /** Ended with the test at the latest. */
  static async start(t: Test, options: LiarOptions): Promise<Liar> {
    const liar = new Liar(options);
    const { hostname, port } = new URL(`tcp://${options.address}`);
    await new Promise<void>((resolve, reject) => {
      liar.#server.once('error', reject).listen(Number(port), hostname, resolve);
    });
    t.teardown(() => liar.end());
    return liar;
  }

  end(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #greet(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
    const directory = { list: () => [], open: async (name: string) => this.#open(name) };
    negotiate(socket, directory, { timeoutMs: 60_000 }).then(
      async (session) => {
        if (session === undefined) socket.end();
        else await this.#serve(socket, session);
      },
      () => socket.destroy(),
    );
  }

  #open(name: string) {
    const value = parsePeerExport(name);
    if (value?.kind !== 'node' && value?.kind !== 'home' && value?.kind !== 'held') return undefined;
    const content = value.kind === 'node' ? undefined : this.#statement.contents.find(({ id }) => id === value.id);
    if (value.kind !== 'node' && content === undefined) return undefined;
    if (value.kind !== 'node') this.opened.push(name);
    return {
      value,
      name,
      description: '',
      sizeBytes: content === undefined ? statementPageBytes : (this.#options.exportBytes ?? content.sizeBytes),
      transmissionFlags: TransmissionFlag.READ_ONLY | TransmissionFlag.SEND_CACHE,
      blockSize: { minimumBytes: 1, preferredBytes: 4096, maximumBytes: 32 * 2 ** 20 },
      release: () => {},
    };
  }

  async #serve(socket: Socket, { export: { value }, replies, contexts, leftover }: Session<Served>): Promise<void> {
    const extended = replies === 'extended';
    const peer = new RawPeer(socket);
    if (leftover.length > 0) socket.unshift(leftover);
    let page = this.#statementCache.page(this.#statement);
    for (;;) {
      const request = emptyRequest();
      const header = await peer.read(extended ? 32 : 28);
      if (header.length === 0 || !(extended ? parseExtendedRequest : parseCompactRequest)(header, 0, request)) return;
      const { type: command, offset, lengthBytes } = request;
      if (command === Command.DISC) {
        socket.end();
        return;
      }
      if (command === Command.BLOCK_STATUS) {
        const reply = Buffer.alloc(blockStatusBytes(extended, 1));
        const extents = [{ lengthBytes, flags: CachedFlag.CACHED }];
        putBlockStatus(reply, 0, extended, request, true, contexts.get(CACHED_CONTEXT) ?? 0, extents);
        peer.write(reply);
      } else if (command === Command.READ && value.kind === 'node') {
        if (offset === 0) page = this.#statementCache.page(this.#statement);
        const data = Buffer.alloc(lengthBytes);
        page.copy(data, 0, lengthBytes, offset);
        peer.write(reply(request, extended, offset, data));
      } else if (command === Command.READ && (value.kind === 'home' || value.kind === 'held')) {
        const asked: Asked = { kind: value.kind, id: value.id, offset, lengthBytes };
        this.asked.push(asked);
        peer.write(reply(request, extended, offset, this.#options.answer(asked)));
      } else {
        throw new Error(`command ${command} of ${value.kind} is in no script`);
      }
    }
  }
}

function reply(request: Request, extended: boolean, offset: number, data: Buffer): Buffer {
  const head = Buffer.alloc(chunkHeaderBytes(extended) + 8);
  putOffsetData(head, 0, extended, request, true, offset, data.length);
  return Buffer.concat([head, data]);
}
