/** The reader of the closed-loop loads: Copse's own NBD client, which asks any server. It copies nothing unless the content is wanted. */
import { NbdClient } from '../../../src/nbd/client/nbd-client.js';
import type { RunningServer } from '../server/server.js';
import type { Reader } from './reader.js';

export interface ContentReader extends Reader {
  readContent(offset: number, lengthBytes: number): Promise<Buffer>;
}

const nowhere = { data() {}, zeroes() {} };

export async function connectReader(server: Pick<RunningServer, 'socketPath' | 'exportName'>): Promise<ContentReader> {
  const client = await NbdClient.connect({ path: server.socketPath }, { exportName: server.exportName });
  return {
    read: (offset, lengthBytes) => client.read(offset, lengthBytes, nowhere),
    async readContent(offset, lengthBytes) {
      const content = Buffer.alloc(lengthBytes);
      await client.read(offset, lengthBytes, {
        data: (piece, at) => {
          piece.copy(content, at - offset);
        },
        zeroes() {},
      });
      return content;
    },
    close: () => client.disconnect(),
  };
}
