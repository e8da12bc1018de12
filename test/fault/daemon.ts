/** The real daemon as a process of its own: started, killed and started again on the same state and sockets. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { Test } from 'tap';
import type { FastPathStatus } from '../../src/admin/control.js';
import { fastPathByDefault } from '../conformance/fast-path.js';
import { type EnterOptions, enter } from '../conformance/wire/handshake.js';
import type { Session } from '../conformance/wire/session.js';
import { shortDir } from '../support/short-dir.js';
import { patienceMs } from '../support/wait.js';

const ownMain = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface DaemonOptions {
  /** Name to URL. */
  images: Record<string, string>;
  /** As in the configuration file. */
  cacheSize?: string;
  minFree?: string;
  deadline?: string;
  /** By name, for images whose deadline is another one. */
  deadlines?: Record<string, string>;
  chunkSize?: string;
  readahead?: string;
  /** Lines of the `[limit]` table. */
  limits?: string[];
  /** Lines of the `[node]` table. */
  nodeLines?: string[];
  /** The state directory; one of the test's own when absent. */
  state?: string;
  listen?: string[];
  /** Listens on TCP too, at a port that the kernel gives: see `tcpUri`. */
  tcp?: boolean;
  /** Further lines of an image's table, by name. */
  imageLines?: Record<string, string[]>;
  /** After `copse serve --config FILE`. */
  flags?: string[];
  /** `false`: TypeScript answers everything. */
  fastPath?: boolean;
  /** Path of `main.js` of another version; default: the present build. */
  main?: string;
  /** Where it runs: a namespace of the lab, say. Its process is the daemon itself all the same. */
  place?: { command(program: string, args: readonly string[]): { command: string; args: string[] } };
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export class Daemon {
  readonly folder: string;
  readonly state: string;
  readonly socketPath: string;
  readonly configPath: string;
  stderr = '';
  stdout = '';
  #flags: string[] = [];
  #main = ownMain;
  #place: DaemonOptions['place'];
  #child: ChildProcess | undefined;
  #exit: Promise<Exit> = Promise.resolve({ code: 0, signal: null });

  constructor(folder: string, options: DaemonOptions) {
    this.folder = folder;
    this.state = options.state ?? join(folder, 'state');
    this.socketPath = join(folder, 'nbd.sock');
    this.configPath = join(folder, 'copse.toml');
    mkdirSync(this.state, { recursive: true });
    this.configure(options);
  }

  /** Serving, and killed with the test at the latest. */
  static async start(t: Test, options: DaemonOptions): Promise<Daemon> {
    const daemon = new Daemon(shortDir(t), options);
    t.teardown(() => daemon.kill());
    await daemon.start();
    return daemon;
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** For the next start. */
  configure(options: DaemonOptions): void {
    const {
      images,
      cacheSize = '1G',
      minFree = '0',
      deadline = '50s',
      deadlines = {},
      chunkSize = '64K',
      readahead = '0',
      limits = [],
      nodeLines = [],
      imageLines = {},
    } = options;
    const { fastPath = fastPathByDefault } = options;
    this.#flags = [...(options.flags ?? []), ...(fastPath ? [] : ['--no-fast-path'])];
    this.#place = options.place;
    this.#main = options.main ?? ownMain;
    const lines = [
      `state = "${this.state}"`,
      `listen = ${JSON.stringify(options.listen ?? [`unix:${this.socketPath}`, ...(options.tcp === true ? ['tcp:127.0.0.1:0'] : [])])}`,
      `admin = "unix:${join(this.folder, 'admin.sock')}"`,
      'log_level = "debug"',
      '[cache]',
      `size = "${cacheSize}"`,
      `min_free = "${minFree}"`,
      '[image_default]',
      `chunk_size = "${chunkSize}"`,
      `deadline = "${deadline}"`,
      `readahead = "${readahead}"`,
      '[limit]',
      ...limits,
      '[node]',
      ...nodeLines,
      ...Object.entries(images).flatMap(([name, url]) => {
        const own = deadlines[name];
        const table = ['[[image]]', `name = "${name}"`, `url = "${url}"`, ...(imageLines[name] ?? [])];
        return own === undefined ? table : [...table, `deadline = "${own}"`];
      }),
    ];
    writeFileSync(this.configPath, `${lines.join('\n')}\n`);
  }

  /** Resolves at `copse: ready`; rejects when the process ends before. */
  async start(): Promise<void> {
    const exit = await this.launch();
    if (exit !== undefined) throw new Error(`the daemon ended with ${exit.code ?? exit.signal} before it was ready:\n${this.stderr}`);
  }

  /** As `start`, but resolves to the exit if the process ends instead of becoming ready. */
  async launch(): Promise<Exit | undefined> {
    const own = [this.#main, 'serve', '--config', this.configPath, ...this.#flags];
    const { command, args } = this.#place?.command(process.execPath, own) ?? { command: process.execPath, args: own };
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.stdout = '';
    this.#exit = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    const ready = new Promise<undefined>((resolve) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        this.stdout += chunk.toString();
        if (/^copse: ready/m.test(this.stdout)) resolve(undefined);
      });
    });
    const late = new Promise<never>((_resolve, reject) => {
      setTimeout(() => reject(new Error(`the daemon is not ready after ${patienceMs} ms:\n${this.stderr}`)), patienceMs).unref();
    });
    const closed = once(child, 'close');
    const exit = await Promise.race([ready, this.#exit, late]);
    // What it said last may come after its exit.
    if (exit !== undefined) await closed;
    return exit;
  }

  /** SIGKILL, and gone when it resolves. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exit;
  }

  /** SIGSTOP, SIGCONT. */
  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** SIGTERM, and gone when it resolves. */
  async stop(): Promise<Exit> {
    this.#child?.kill('SIGTERM');
    return await this.#exit;
  }

  /** Where it listens on TCP, as it said when it was ready. */
  get tcpUri(): URL {
    return new URL(/nbd:\/\/\S+/.exec(this.stdout)?.[0] ?? 'nbd://nowhere');
  }

  /** An NBD session; close it with `session.bytes.destroy()`, or leave it to the end of the test's process. */
  async attach(exportName: string, options?: EnterOptions): Promise<Session> {
    return await enter(await this.connect(), exportName, options);
  }

  connect(): Promise<ReturnType<typeof createConnection>> {
    return new Promise((resolve, reject) => {
      const stream = createConnection({ path: this.socketPath, allowHalfOpen: true }, () => {
        stream.off('error', reject);
        resolve(stream);
      });
      stream.unref();
      stream.once('error', reject);
    });
  }

  /** Runs `copse ARGS --admin …`. */
  async copse(...args: string[]): Promise<{ exitCode: number | undefined; stdout: string; stderr: string }> {
    return this.copseWith(args, []);
  }

  /** As `copse`; `last` stands behind all options: `--`, and what begins with a dash. */
  async copseWith(
    args: readonly string[],
    last: readonly string[],
  ): Promise<{ exitCode: number | undefined; stdout: string; stderr: string }> {
    const { exitCode, stdout, stderr } = await execa(
      process.execPath,
      [this.#main, ...args, '--admin', `unix:${join(this.folder, 'admin.sock')}`, ...last],
      { reject: false, timeout: patienceMs },
    );
    return { exitCode, stdout, stderr };
  }

  /** A request to the admin API, which spares the start of a CLI process. */
  api(method: string, path: string): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath: join(this.folder, 'admin.sock'), method, path, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  async imageStatus(name: string): Promise<Record<string, unknown>> {
    return JSON.parse((await this.api('GET', `/v1/images/${encodeURIComponent(name)}`)).body);
  }

  /** Of the whole daemon. */
  async status(): Promise<Record<string, unknown>> {
    return JSON.parse((await this.api('GET', '/v1/status')).body);
  }

  /** What native threads did. */
  async fastPath(): Promise<FastPathStatus> {
    return (await this.status())['fastPath'] as FastPathStatus;
  }

  /** Resident memory in bytes, from /proc. */
  residentBytes(): number {
    const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'));
    return Number(line?.[1] ?? 0) * 1024;
  }
}
