/** The suite under Copse's TypeScript transmission over a unix socket. */
import { createConnection } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { conformance } from './conformance.js';
import { serve } from './server-subject.js';
import { shortDir } from './short-dir.js';

const folder = await shortDir(t);
const { server, subject, close } = await serve(folder);
const path = join(folder, 's');
await server.listen({ kind: 'unix', path });
t.after(close);

conformance(t, {
  ...subject,
  name: 'copse over a unix socket',
  connect: () =>
    new Promise((resolve, reject) => {
      const stream = createConnection({ path, allowHalfOpen: true }, () => resolve(stream));
      stream.once('error', reject);
    }),
});
