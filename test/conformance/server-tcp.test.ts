/** The suite over TCP: with native threads that answer what they can, and by TypeScript alone. */
import { createConnection } from 'node:net';
import t from 'tap';
import { shortDir } from '../support/short-dir.js';
import { conformance } from './conformance.js';
import { serve } from './server-subject.js';

for (const fastPath of [true, false]) {
  const { server, subject, fastCounts, close } = await serve(shortDir(t), { fastPath });
  const uri = new URL(await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }));
  t.after(close);

  conformance(t, {
    ...subject,
    name: `copse over TCP${fastPath ? '' : ', without the fast path'}`,
    connect: () =>
      new Promise((resolve, reject) => {
        const stream = createConnection({ host: uri.hostname, port: Number(uri.port), allowHalfOpen: true, noDelay: true }, () =>
          resolve(stream),
        );
        stream.once('error', reject);
      }),
  });
  t.test('who answered', async (t) => {
    const { answered, handedUp } = fastCounts();
    if (fastPath) t.ok(answered > 100 && handedUp > 100, `${answered} requests natively, ${handedUp} not`);
    else t.same([answered, handedUp], [0, 0]);
  });
}
