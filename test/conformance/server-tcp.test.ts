/** The suite under Copse's TypeScript transmission over TCP. */
import { createConnection } from 'node:net';
import t from 'tap';
import { conformance } from './conformance.js';
import { serve } from './server-subject.js';
import { shortDir } from './short-dir.js';

const { server, subject, close } = await serve(await shortDir(t));
const uri = new URL(await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }));
t.after(close);

conformance(t, {
  ...subject,
  name: 'copse over TCP',
  connect: () =>
    new Promise((resolve, reject) => {
      const stream = createConnection({ host: uri.hostname, port: Number(uri.port), allowHalfOpen: true, noDelay: true }, () =>
        resolve(stream),
      );
      stream.once('error', reject);
    }),
});
