/** A node of its own process, for a test to stop and kill: serves the statement that it was given, and one content whose home never gets an answer. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { silentLogger } from '../../src/base/log.js';
import type { NodeStatement } from '../../src/cluster/node.js';
import { PeerDirectory } from '../../src/peer/server/directory.js';
import { Server } from '../../src/server/server.js';
import { ownHost } from '../fault/own-host.js';

export interface PeerProcess {
  /** HOST:PORT */
  address: string;
  kill(signal: NodeJS.Signals): void;
}

const self = fileURLToPath(import.meta.url);

/** Killed with the test at the latest. @param port 0: of the kernel's choice; at this process's own address, so that nobody else takes it between two of them */
export async function startPeer(t: Test, statement: NodeStatement, port = 0): Promise<PeerProcess> {
  const child = spawn(process.execPath, [self, JSON.stringify(statement), ownHost, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const [line] = await Promise.race([
    once(child.stdout, 'data'),
    ended.then(() => {
      throw new Error('the peer ended before it listened');
    }),
  ]);
  return { address: String(line).trim(), kill: (signal) => void child.kill(signal) };
}

async function main(statement: NodeStatement, host: string, port: number): Promise<void> {
  const store = { sizeBytes: 2 ** 20, readNow: () => false, isZero: () => false };
  const never = new Promise<never>(() => {});
  const cache = { store, read: () => never, ensure: () => never, extents: () => [], cachedExtents: () => [] };
  const directory = new PeerDirectory({
    statement: () => statement,
    open: () => ({ cache, deadlineMs: { home: 0, held: 0 }, onServed: () => {}, release: () => {} }),
    manifest: () => undefined,
    record: () => undefined,
    identify: async () => undefined,
  });
  const server = new Server({
    directory,
    limits: {
      connectionCount: 99,
      handshakeTimeoutMs: 9999,
      requestsPerConnection: 64,
      bytesPerConnection: 2 ** 26,
      requestMemoryBytes: 2 ** 26,
    },
    log: silentLogger,
  });
  const uri = new URL(await server.listen({ kind: 'tcp', host, port }));
  process.stdout.write(`${host}:${uri.port}\n`);
}

if (process.argv[1] === self) {
  const [, , statement = '', host = '', port = '0'] = process.argv;
  await main(JSON.parse(statement) as NodeStatement, host, Number(port));
}
