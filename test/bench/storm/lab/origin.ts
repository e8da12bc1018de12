/**
 * The origin far away: nginx in the lab's origin namespace, with a log of the ranges that it sent.
 *
 * Invariants: the log tells of body bytes sent, also of answers that were broken off; a unix socket reaches it from outside the lab, past all links.
 */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { CopseError } from '../../../../src/base/error.js';
import { foreignErrorCode } from '../../../../src/base/error-code.js';
import type { Closeable } from '../../../../src/base/lifecycle.js';
import type { Lab } from '../../../lab/lab.js';
import { Program } from '../../harness/program.js';
import type { SentRange } from './origin-use.js';

export interface FarMark {
  logOffset: number;
  sentBytes: number;
}

export interface FarUse {
  ranges: SentRange[];
  /** What left its network interface, headers and retransmissions included. */
  interfaceBytes: number;
}

/** An origin that still sends after this long has a client that never ends. */
const quietTimeoutMs = 20_000;

export class FarOrigin implements Closeable {
  readonly #lab: Lab;
  readonly #dir: string;
  readonly #rootDir: string;
  #program: Program | undefined;

  private constructor(lab: Lab, dir: string, rootDir: string) {
    this.#lab = lab;
    this.#dir = dir;
    this.#rootDir = rootDir;
  }

  /** @param dir its own files @param rootDir what it serves */
  static async start(lab: Lab, dir: string, rootDir: string): Promise<FarOrigin> {
    await mkdir(dir, { recursive: true });
    const origin = new FarOrigin(lab, dir, rootDir);
    await origin.resume();
    return origin;
  }

  /** @param asker counted apart from others */
  url(asker: string, fileName: string): string {
    return `http://${this.#lab.origin.address}/${asker}/${fileName}`;
  }

  /** After `close`: the same origin again. */
  async resume(): Promise<void> {
    const configPath = join(this.#dir, 'nginx.conf');
    await writeFile(configPath, configuration(this.#dir, this.#rootDir, this.#lab.origin.address));
    this.#program = await Program.start({
      ...this.#lab.origin.command('/usr/sbin/nginx', ['-e', join(this.#dir, 'error.log'), '-c', configPath]),
      logPath: join(this.#dir, 'nginx.out'),
      readySocket: this.#socketPath,
    });
  }

  /** What was asked before is not counted by `use` of this mark. */
  async mark(): Promise<FarMark> {
    await this.#quiet();
    const { size } = await stat(this.#logPath);
    return { logOffset: size, sentBytes: (await this.#lab.origin.traffic()).sentBytes };
  }

  /** What it sent to `asker` since the mark, once it sends nothing any more. */
  async use(mark: FarMark, asker: string): Promise<FarUse> {
    if (this.#program !== undefined) await this.#quiet();
    const log = (await readFile(this.#logPath)).subarray(mark.logOffset).toString();
    const ranges = log.split('\n').flatMap((line) => {
      const [method, status, bytes, uri, from] = line.split(' ');
      if (method !== 'GET' || !uri?.startsWith(`/${asker}/`) || !(status === '206' || status === '200')) return [];
      const offset = status === '200' ? 0 : Number(/^bytes=(\d+)-/.exec(from ?? '')?.[1]);
      return [{ offset, lengthBytes: Number(bytes) }];
    });
    return { ranges, interfaceBytes: (await this.#lab.origin.traffic()).sentBytes - mark.sentBytes };
  }

  cpuSeconds(): Promise<number> {
    return this.#program?.cpuSeconds() ?? Promise.resolve(0);
  }

  async close(): Promise<void> {
    await this.#program?.close();
    this.#program = undefined;
  }

  get #socketPath(): string {
    return join(this.#dir, 'ask.sock');
  }

  get #logPath(): string {
    return join(this.#dir, 'access.log');
  }

  /** Resolves when no answer is under way but the one to this question. */
  async #quiet(): Promise<void> {
    const untilMs = performance.now() + quietTimeoutMs;
    while (performance.now() < untilMs) {
      if (/Writing: 1 /.test(await this.#status())) return;
      await sleep(20);
    }
    throw new CopseError(foreignErrorCode('ERR_PROGRAM'), `the origin still sends after ${quietTimeoutMs} ms`);
  }

  #status(): Promise<string> {
    return new Promise((resolve, reject) => {
      request({ socketPath: this.#socketPath, path: '/status', agent: false }, (response) => text(response).then(resolve, reject))
        .on('error', reject)
        .end();
    });
  }
}

function configuration(dir: string, rootDir: string, address: string): string {
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${dir}/${kind};`);
  return `daemon off;
user root;
worker_processes 1;
pid ${dir}/nginx.pid;
events { worker_connections 4096; }
http {
  sendfile on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  log_format count '$request_method $status $body_bytes_sent $request_uri $http_range';
${scratch.join('\n')}
  server {
    listen ${address}:80;
    access_log ${dir}/access.log count;
    root ${rootDir};
    location / { rewrite ^/[^/]+/(.*)$ /$1 break; }
  }
  server {
    listen unix:${dir}/ask.sock;
    access_log off;
    location = /status { stub_status; }
  }
}
`;
}
