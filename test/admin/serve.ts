/** The admin API over a scripted control, on a unix socket, asked by bare HTTP. */
import { join } from 'node:path';
import type { Test } from 'tap';
import { Agent, request } from 'undici';
import type { Control } from '../../src/admin/control.js';
import { AdminServer, type AdminServerOptions } from '../../src/admin/server.js';
import { silentLogger } from '../../src/base/log.js';
import { shortDir } from '../support/short-dir.js';
import { FakeControl } from './fake-control.js';

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

export function createAdminServer(control: Control, options: AdminServerOptions): AdminServer {
  const server = new AdminServer(options);
  server.serve(control);
  return server;
}

/** The control holds the image debian/12. Ends with the test. */
export async function serve(test: Test) {
  const control = new FakeControl();
  await control.images.add({ name: 'debian/12', url: 'http://o/d.raw' });
  const path = join(shortDir(test), 'a.sock');
  const server = createAdminServer(control, { log: silentLogger });
  await server.listen({ kind: 'unix', path });
  const agent = new Agent({ connect: { socketPath: path } });
  test.teardown(async () => {
    await agent.destroy();
    await server.close();
  });
  const call = async (method: Method, url: string, body?: unknown, headers: Record<string, string> = {}) => {
    const isText = typeof body === 'string';
    const answer = await request(`http://localhost${url}`, {
      dispatcher: agent,
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    const json = (): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;
    return { status: answer.statusCode, type: String(answer.headers['content-type']), text, json };
  };
  return { control, path, server, agent, call };
}
