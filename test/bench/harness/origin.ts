/**
 * The HTTP origin: a real nginx with a latency per request, and a count of what was asked of it.
 *
 * Each latency has a port and an access log of its own. A URL's first path segment says who asks (`/copse/full.raw`), so that
 * contenders which run side by side are counted apart. One worker: the log's order is the order of requests, a marker request ends it.
 */
import { access, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CopseError } from '../../../src/base/error.js';
import { foreignErrorCode } from '../../../src/base/error-code.js';
import type { Closeable } from '../../../src/base/lifecycle.js';
import { freePort } from './free-port.js';
import { Program } from './program.js';

/** Requests for content of one asker since a point in time. */
export interface OriginUse {
  requests: number;
  /** Body bytes sent. */
  bytes: number;
}

/** A place in the access log of one latency. */
export interface OriginMark {
  latencyMs: number;
  logOffset: number;
}

const moduleDir = '/usr/lib/nginx/modules';

export class HttpOrigin implements Closeable {
  readonly #program: Program;
  readonly #dir: string;
  readonly #ports: ReadonlyMap<number, number>;

  private constructor(program: Program, dir: string, ports: ReadonlyMap<number, number>) {
    this.#program = program;
    this.#dir = dir;
    this.#ports = ports;
  }

  /**
   * @param dir the server's own files
   * @param rootDir what it serves
   * @param latenciesMs waited before each answer, each on a port of its own
   */
  static async start(dir: string, rootDir: string, latenciesMs: readonly number[]): Promise<HttpOrigin> {
    await access(join(moduleDir, 'ngx_http_lua_module.so')).catch((cause) => {
      throw new CopseError(foreignErrorCode('ERR_PROGRAM'), 'nginx has no lua module: apt-get install nginx-light libnginx-mod-http-lua', {
        cause,
      });
    });
    await mkdir(dir, { recursive: true });
    const ports = new Map<number, number>();
    for (const latencyMs of latenciesMs) ports.set(latencyMs, await freePort());
    await writeFile(join(dir, 'nginx.conf'), configuration(dir, rootDir, ports));
    const program = await Program.start({
      command: '/usr/sbin/nginx',
      args: ['-e', join(dir, 'error.log'), '-c', join(dir, 'nginx.conf')],
      logPath: join(dir, 'nginx.out'),
      readySocket: [...ports.values()][0],
    });
    return new HttpOrigin(program, dir, ports);
  }

  url(latencyMs: number, asker: string, fileName: string): string {
    return `http://127.0.0.1:${this.#port(latencyMs)}/${asker}/${fileName}`;
  }

  /** What was logged before is not counted by `use` of this mark. */
  async mark(latencyMs: number): Promise<OriginMark> {
    const response = await fetch(`http://127.0.0.1:${this.#port(latencyMs)}/mark`);
    await response.arrayBuffer();
    const { size } = await stat(this.#logPath(latencyMs));
    return { latencyMs, logOffset: size };
  }

  /** Requests of `asker` that were answered since the mark. Those still being answered are not in it. */
  async use(mark: OriginMark, asker: string): Promise<OriginUse> {
    await this.mark(mark.latencyMs);
    const text = (await readFile(this.#logPath(mark.latencyMs))).subarray(mark.logOffset).toString();
    const use = { requests: 0, bytes: 0 };
    for (const line of text.split('\n')) {
      const [method, status, bytes, uri] = line.split(' ');
      if (method !== 'GET' || !(status === '206' || status === '200') || uri === undefined || !uri.startsWith(`/${asker}/`)) continue;
      use.requests += 1;
      use.bytes += Number(bytes);
    }
    return use;
  }

  /** Of nginx and its worker, so far. */
  cpuSeconds(): Promise<number> {
    return this.#program.cpuSeconds();
  }

  close(): Promise<void> {
    return this.#program.close();
  }

  #port(latencyMs: number): number {
    const port = this.#ports.get(latencyMs);
    if (port === undefined) throw new CopseError('ERR_OPTION', `the origin has no port with a latency of ${latencyMs} ms`);
    return port;
  }

  #logPath(latencyMs: number): string {
    return join(this.#dir, `access-${latencyMs}.log`);
  }
}

function configuration(dir: string, rootDir: string, ports: ReadonlyMap<number, number>): string {
  const servers = [...ports].map(
    ([latencyMs, port]) => `
  server {
    listen 127.0.0.1:${port};
    access_log ${dir}/access-${latencyMs}.log count;
    root ${rootDir};
    location = /mark { return 204; }
    location / {
      rewrite ^/[^/]+/(.*)$ /$1 break;${latencyMs === 0 ? '' : `\n      access_by_lua_block { ngx.sleep(${latencyMs / 1000}) }`}
    }
  }`,
  );
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${dir}/${kind};`);
  return `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${dir}/nginx.pid;
load_module ${moduleDir}/ndk_http_module.so;
load_module ${moduleDir}/ngx_http_lua_module.so;
events { worker_connections 4096; }
http {
  sendfile on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  lua_load_resty_core off;
  log_format count '$request_method $status $body_bytes_sent $request_uri';
${scratch.join('\n')}
${servers.join('\n')}
}
`;
}
