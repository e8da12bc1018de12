/** The origin: a real nginx that serves the image's directory, each request 20 ms late, and logs what it sent. */
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Lifetime, startProgram, waitForListener } from './lifetime.js';

export interface Traffic {
  requests: number;
  /** Bytes of content sent, without headers. */
  bytes: number;
}

export interface Origin {
  url(fileName: string): string;
  /** All that was sent since the origin started. */
  traffic(): Promise<Traffic>;
  stop(): Promise<void>;
}

const modules = '/usr/lib/nginx/modules';

function config(workDir: string, rootDir: string, port: number, latencyMs: number): string {
  return `
load_module ${modules}/ndk_http_module.so;
load_module ${modules}/ngx_http_lua_module.so;
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${workDir}/nginx.pid;
error_log ${workDir}/nginx-error.log;
events { worker_connections 256; }
http {
  log_format sent '$status $body_bytes_sent $http_range';
  access_log ${workDir}/nginx-access.log sent;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_body_temp_path ${workDir}/nginx-tmp;
  proxy_temp_path ${workDir}/nginx-tmp;
  fastcgi_temp_path ${workDir}/nginx-tmp;
  uwsgi_temp_path ${workDir}/nginx-tmp;
  scgi_temp_path ${workDir}/nginx-tmp;
  server {
    listen 127.0.0.1:${port};
    root ${rootDir};
    access_by_lua_block { ngx.sleep(${latencyMs / 1000}) }
  }
}
`;
}

/** A TCP port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no TCP port');
  return address.port;
}

export async function startOrigin(lifetime: Lifetime, options: { workDir: string; rootDir: string; latencyMs: number }): Promise<Origin> {
  const { workDir, rootDir, latencyMs } = options;
  const port = await freePort();
  const configPath = join(workDir, 'nginx.conf');
  await writeFile(configPath, config(workDir, rootDir, port, latencyMs));
  const nginx = startProgram(
    lifetime,
    '/usr/sbin/nginx',
    ['-e', join(workDir, 'nginx-error.log'), '-p', workDir, '-c', configPath],
    join(workDir, 'nginx.log'),
  );
  await waitForListener({ host: '127.0.0.1', port }, nginx, 60_000);
  return {
    url: (fileName) => `http://127.0.0.1:${port}/${encodeURIComponent(fileName)}`,
    async traffic() {
      const lines = (await readFile(join(workDir, 'nginx-access.log'), 'utf8')).split('\n').filter((line) => line !== '');
      return { requests: lines.length, bytes: lines.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0) };
    },
    // By SIGTERM: a master that is killed leaves its worker serving.
    stop: () => nginx.stop(),
  };
}
