/** What a contender is to the bench: something that offers bytes of an origin or a file as NBD on a unix socket. */
import type { Closeable } from '../../../src/base/lifecycle.js';
import type { Program } from '../harness/program.js';

/** A server that runs. `close` ends it and removes what it kept. */
export interface RunningServer extends Closeable {
  readonly program: Program;
  readonly socketPath: string;
  readonly exportName: string;
  /** Of 127.0.0.1, where it is to be reached by TCP. */
  readonly port?: number | undefined;
}

export interface ServerKind {
  /** Stands in tables, and as the asker in the origin's URLs. */
  readonly name: 'copse' | 'nbdkit' | 'qemu';
  /** Starts with an empty cache over `url`. `dir` exists, is empty, and is the server's alone. */
  startCold(dir: string, url: string): Promise<RunningServer>;
  /** Starts over the file such that reads need nothing but this host; the caller warms the page cache. */
  startWarm(dir: string, filePath: string): Promise<RunningServer>;
}

export function uriOf(server: Pick<RunningServer, 'socketPath' | 'exportName' | 'port'>): string {
  if (server.port !== undefined) return `nbd://127.0.0.1:${server.port}/${server.exportName}`;
  return `nbd+unix:///${server.exportName}?socket=${server.socketPath}`;
}
