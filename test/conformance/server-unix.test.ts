/** The suite over a unix socket: with native threads that answer what they can, and by TypeScript alone. */
import { createConnection } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { shortDir } from '../support/short-dir.js';
import { conformance } from './conformance.js';
import { serve } from './server-subject.js';

for (const fastPath of [true, false]) {
  const folder = shortDir(t);
  const { server, subject, fastCounts, close } = await serve(folder, { fastPath });
  const path = join(folder, 's');
  await server.listen({ kind: 'unix', path });
  t.after(close);

  conformance(t, {
    ...subject,
    name: `copse over a unix socket${fastPath ? '' : ', without the fast path'}`,
    connect: () =>
      new Promise((resolve, reject) => {
        const stream = createConnection({ path, allowHalfOpen: true }, () => resolve(stream));
        stream.once('error', reject);
      }),
  });
  t.test('who answered', async (t) => {
    const { answered, handedUp } = fastCounts();
    if (fastPath) t.ok(answered > 100 && handedUp > 100, `${answered} requests natively, ${handedUp} not`);
    else t.same([answered, handedUp], [0, 0]);
  });
}
