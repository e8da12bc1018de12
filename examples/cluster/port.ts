/** TCP ports for programs that can't choose one themselves, or whose neighbours must know it before they start. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Linux gives ports from 32768 on to whoever connects: one of those that was free a moment ago may be taken when its host starts. */
const lowestPort = 20_000;
const portCount = 12_000;

/** Distinct ports of 127.0.0.1 that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>();
  while (held.size < count) {
    const port = lowestPort + Math.floor(Math.random() * portCount);
    const server = held.has(port) ? undefined : await listenAt(port);
    if (server !== undefined) held.set(port, server);
  }
  await Promise.all([...held.values()].map((server) => once(server.close(), 'close')));
  return [...held.keys()];
}

/** `undefined`: somebody has it. */
async function listenAt(port: number): Promise<Server | undefined> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}
