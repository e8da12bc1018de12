/** NBD clients on TCP, each with an address of its own, so that a daemon tells them apart. */
import { createHash } from 'node:crypto';
import { createConnection } from 'node:net';
import { Cmd } from '../conformance/wire/constant.js';
import { enter } from '../conformance/wire/handshake.js';
import type { Session } from '../conformance/wire/session.js';
import type { Daemon } from '../fault/daemon.js';

const pieceBytes = 256 * 1024;
let clientCount = 0;

export async function attach(daemon: Daemon, name: string, localAddress = nextAddress()): Promise<Session> {
  const socket = createConnection({ host: '127.0.0.1', port: Number(daemon.tcpUri.port), localAddress, allowHalfOpen: true });
  socket.on('error', () => {});
  return enter(socket, name);
}

function nextAddress(): string {
  clientCount += 1;
  return `127.3.${clientCount >> 8}.${clientCount & 255}`;
}

/** Fills a range and flushes. @returns the first error of the server, 0 for none */
export async function fill(session: Session, offset: number, lengthBytes: number, text: string): Promise<number> {
  const written = await session.write(offset, Buffer.alloc(lengthBytes, `${text} `));
  if (written.error !== 0) return written.error;
  return (await session.do({ type: Cmd.flush })).error;
}

/** SHA-256 of an export as a new client reads it, in hexadecimal digits. @throws Error on a failed read */
export async function digestOf(daemon: Daemon, name: string): Promise<string> {
  const session = await attach(daemon, name);
  const hash = createHash('sha256');
  try {
    const sizeBytes = Number(session.info.sizeBytes);
    for (let offset = 0; offset < sizeBytes; offset += pieceBytes) {
      const { error, message, data } = await session.read(offset, Math.min(pieceBytes, sizeBytes - offset));
      if (error !== 0) throw new Error(`a read of ${name} at ${offset} failed with ${error} ${message}`);
      hash.update(data);
    }
  } finally {
    session.bytes.destroy();
  }
  return hash.digest('hex');
}

/** Has a new client fill a range, flush and leave. @throws Error if the server refuses */
export async function change(daemon: Daemon, name: string, offset: number, lengthBytes: number, text: string): Promise<void> {
  const session = await attach(daemon, name);
  const error = await fill(session, offset, lengthBytes, text);
  session.bytes.destroy();
  if (error !== 0) throw new Error(`a change of ${name} failed with ${error}`);
}

/** Runs a command of the daemon's own version. @throws Error if it fails */
export async function command(daemon: Daemon, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await daemon.copse(...args);
  if (exitCode !== 0) throw new Error(`copse ${args.join(' ')}: ${exitCode} ${stderr}`);
  return stdout;
}
