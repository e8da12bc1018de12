/** Copse's server in this process, for real programs to attach to: the conformance suite's image and read-write file on a unix socket and on TCP. */
import { join } from 'node:path';
import { execa } from 'execa';
import type { Test } from 'tap';
import { type ServedSubject, serve } from '../conformance/server-subject.js';
import { shortDir } from '../support/short-dir.js';

export interface Serving {
  folder: string;
  subject: ServedSubject['subject'];
  /** `nbd+unix:///NAME?socket=PATH`, as libnbd and QEMU read it. */
  unixUri(name: string): string;
  tcpUri(name: string): string;
  socketPath: string;
  port: number;
}

/** Ends with the test. */
export async function serving(t: Test): Promise<Serving> {
  const folder = shortDir(t);
  const { server, subject, close } = await serve(folder);
  const socketPath = join(folder, 's');
  await server.listen({ kind: 'unix', path: socketPath });
  const port = Number(new URL(await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 })).port);
  t.after(close);
  return {
    folder,
    subject,
    socketPath,
    port,
    unixUri: (name) => `nbd+unix:///${name}?socket=${socketPath}`,
    tcpUri: (name) => `nbd://127.0.0.1:${port}/${name}`,
  };
}

/** Runs a program to its end; what it said is in the failure. */
export async function run(
  t: Test,
  program: string,
  args: string[],
  options: { exitCode?: number } = {},
): Promise<{ stdout: string; stderr: string }> {
  const result = await execa(program, args, { reject: false, env: { LC_ALL: 'C' } });
  const { exitCode: expected = 0 } = options;
  t.equal(result.exitCode, expected, `${program} ${args.join(' ')}`, {
    stderr: result.stderr,
    stdout: String(result.stdout).slice(0, 2000),
  });
  return { stdout: String(result.stdout), stderr: String(result.stderr) };
}

/** The reason to skip a test for want of a program, or `false`. */
export async function missing(program: string, ...args: string[]): Promise<string | false> {
  const result = await execa(program, args, { reject: false });
  return result.code === 'ENOENT' || (args.length > 0 && result.exitCode !== 0) ? `${program} ${args.join(' ')} is not installed` : false;
}
