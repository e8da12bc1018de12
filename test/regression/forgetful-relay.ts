/**
 * A TCP relay in front of a node, as a firewall that can forget connections: what is sent on those from then on goes nowhere, either way, and nobody is told. New
 * connections pass. It knows what each connection is for by the export's name in its handshake.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Test } from 'tap';
import { EXTENDED_REQUEST_MAGIC, REQUEST_MAGIC } from '../../src/nbd/codec/constant.js';
import { ownHost } from '../fault/own-host.js';
import { until } from '../support/wait.js';

const kinds = ['home/', 'held/', 'disk/', 'blocks/', 'map/', 'call', 'manifest/', 'image/', 'node'] as const;
type Kind = (typeof kinds)[number];

interface Relayed {
  kind: Kind | undefined;
  isForgotten: boolean;
  isOpen: boolean;
  /** What the client has sent so far, as long as its kind is not known. */
  begin: string;
}

export class ForgetfulRelay {
  readonly #server: Server;
  readonly #relayed: Relayed[] = [];
  readonly #sockets = new Set<Socket>();
  /** Connections of these kinds are forgotten as soon as they are known: their first request is lost. */
  readonly mute = new Set<Kind>();

  /** @param target HOST:PORT */
  constructor(target: string) {
    const [host, port] = target.split(':');
    this.#server = createServer((client) => this.#relay(client, connect({ host: host ?? '', port: Number(port) })));
  }

  /** @param target HOST:PORT; it need not listen yet */
  static async start(t: Test, target: string): Promise<ForgetfulRelay> {
    const relay = new ForgetfulRelay(target);
    await new Promise<void>((resolve) => relay.#server.listen(0, ownHost, resolve));
    t.teardown(() => relay.close());
    return relay;
  }

  /** HOST:PORT */
  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `${address}:${port}`;
  }

  /** Connections of the kind, or of any, that are open and pass bytes. */
  count(kind?: Kind): number {
    return this.#relayed.filter((each) => (kind === undefined || each.kind === kind) && each.isOpen && !each.isForgotten).length;
  }

  /** Of all that ever were. */
  totalCount(kind: Kind): number {
    return this.#relayed.filter((each) => each.kind === kind).length;
  }

  /** Forgets the connections of these kinds that there are; without a kind all, whatever they carry. @returns how many */
  forget(...forgotten: Kind[]): number {
    const now = this.#relayed.filter(
      ({ kind, isOpen, isForgotten }) => (forgotten.length === 0 || forgotten.some((each) => each === kind)) && isOpen && !isForgotten,
    );
    for (const each of now) each.isForgotten = true;
    return now.length;
  }

  async has(kind: Kind): Promise<void> {
    await until(`a connection to ${kind}`, () => this.count(kind) > 0);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #relay(client: Socket, node: Socket): void {
    const relayed: Relayed = { kind: undefined, isForgotten: false, isOpen: true, begin: '' };
    this.#relayed.push(relayed);
    client.on('data', (piece: Buffer) => {
      if (relayed.isForgotten) return;
      if (relayed.kind === undefined) {
        relayed.begin += piece.toString('latin1');
        relayed.kind = kinds.find((kind) => relayed.begin.includes(kind));
      }
      // Requests to read begin with a magic number of their own.
      relayed.isForgotten = relayed.kind !== undefined && this.mute.has(relayed.kind) && isRequest(piece);
      if (!relayed.isForgotten) node.write(piece);
    });
    node.on('data', (piece: Buffer) => {
      if (!relayed.isForgotten) client.write(piece);
    });
    for (const [socket, other] of [
      [client, node],
      [node, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        relayed.isOpen = false;
        // Whoever is at the other end of a connection that was forgotten never hears of it.
        if (!relayed.isForgotten) other.destroy();
      });
    }
  }
}

/** Of the transmission phase. */
function isRequest(piece: Buffer): boolean {
  return piece.length >= 4 && [REQUEST_MAGIC, EXTENDED_REQUEST_MAGIC].includes(piece.readUInt32BE(0));
}
