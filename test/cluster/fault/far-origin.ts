/** A scripted origin, reached from the lab: a small program in the origin's namespace passes connections on to this process. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Test } from 'tap';
import { ScriptedOrigin } from '../../fault/origin.js';
import type { Lab } from '../../lab/lab.js';
import { shortDir } from '../../support/short-dir.js';

const port = 8080;

/** For `node -e`: what comes in goes to the unix socket. */
const doorway = `
  const { connect, createServer } = require('node:net');
  const [address, port, path] = process.argv.slice(1);
  createServer({ allowHalfOpen: false }, (near) => {
    const far = connect(path);
    const end = () => { near.destroy(); far.destroy(); };
    near.on('error', end).on('close', end).pipe(far);
    far.on('error', end).on('close', end).pipe(near);
  }).listen(Number(port), address, () => console.log('ready'));`;

/** Ended with the test, and the lab. */
export async function startFarOrigin(t: Test, lab: Lab, bytes: Buffer): Promise<{ origin: ScriptedOrigin; url: string }> {
  const origin = await ScriptedOrigin.start(t, bytes);
  const path = join(shortDir(t), 'origin.sock');
  const { hostname, port: innerPort } = new URL(origin.url);
  const inner = createServer((near) => {
    const far = connect(Number(innerPort), hostname);
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    near.on('error', end).on('close', end).pipe(far);
    far.on('error', end).on('close', end).pipe(near);
  });
  inner.listen(path);
  await once(inner, 'listening');
  t.teardown(() => inner.close());
  const { command, args } = lab.origin.command(process.execPath, ['-e', doorway, lab.origin.address, String(port), path]);
  const child = execa(command, args, { reject: false, buffer: false, stdin: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return { origin, url: `http://${lab.origin.address}:${port}/image.raw` };
}
