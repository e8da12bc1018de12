/** A TCP port of 127.0.0.1 that nobody listens on, for programs that can't take one of the kernel's choice and tell it. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { CopseError } from '../../../src/base/error.js';
import { foreignErrorCode } from '../../../src/base/error-code.js';

/** The kernel is asked just before; somebody else may be given the port meanwhile. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new CopseError(foreignErrorCode('ERR_PROGRAM'), 'no free port');
  return address.port;
}
