/** The OpenAPI document of a running admin API, as it lies in docs/api/openapi.json. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { silentLogger } from '../../src/base/log.js';
import { FakeControl } from './fake-control.js';
import { createAdminServer } from './serve.js';

/** From dist/test/admin. */
export const openApiPath = fileURLToPath(new URL('../../../docs/api/openapi.json', import.meta.url));

/** Asks a server for its document. The control behind it is never asked. */
export async function readOpenApi(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'copse-openapi-'));
  const server = createAdminServer(new FakeControl(), { log: silentLogger });
  const socketPath = join(dir, 'a.sock');
  const agent = new Agent({ connect: { socketPath } });
  try {
    await server.listen({ kind: 'unix', path: socketPath });
    const answer = await request('http://localhost/v1/openapi.json', { dispatcher: agent });
    return `${JSON.stringify(await answer.body.json(), undefined, 2)}\n`;
  } finally {
    await agent.destroy();
    await server.close();
    await rm(dir, { recursive: true, force: true });
  }
}
