/**
 * A server or load program that the bench runs as a child, from start to end.
 *
 * Invariants: it is ended by its own process id; none outlives the bench (execa's cleanup ends them when this process exits);
 * its output goes to a file that errors name.
 */
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { CopseError } from '../../../src/base/error.js';
import { foreignErrorCode } from '../../../src/base/error-code.js';
import type { Closeable } from '../../../src/base/lifecycle.js';
import { cpuSeconds, residentBytes } from './process-meter.js';

export interface ProgramOptions {
  command: string;
  args: readonly string[];
  /** Standard output and error are kept here. */
  logPath: string;
  /** It is ready once it has printed this on standard output … */
  readyText?: string | undefined;
  /** … or answers on this unix socket or TCP port of 127.0.0.1. */
  readySocket?: string | number | undefined;
  /** … or has made this file. */
  readyFile?: string | undefined;
  timeoutMs?: number | undefined;
}

function spawn(command: string, args: readonly string[]) {
  return execa(command, args, { stdin: 'ignore', buffer: false, reject: false });
}

type Child = ReturnType<typeof spawn>;

export class Program implements Closeable {
  readonly pid: number;
  readonly #child: Child;

  private constructor(child: Child, pid: number) {
    this.#child = child;
    this.pid = pid;
  }

  /** Starts it and waits until it is ready. @throws CopseError `ERR_PROGRAM` with the end of its log when it ends before that or takes too long */
  static async start(options: ProgramOptions): Promise<Program> {
    const { command, args, logPath, timeoutMs = 30_000 } = options;
    const child = spawn(command, args);
    const log = createWriteStream(logPath, { flags: 'a' });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    const fail = async (what: string): Promise<never> => {
      const tail = (await readFile(logPath, 'utf8').catch(() => '')).slice(-2000);
      throw new CopseError(foreignErrorCode('ERR_PROGRAM'), `${command} ${args.join(' ')}: ${what}; ${logPath} ends with:\n${tail}`);
    };
    if (child.pid === undefined) return fail('could not be started: is its Debian package installed? (.ci/setup bench)');
    const program = new Program(child, child.pid);
    const patience = new AbortController();
    const ended = child.then((result) => `ended early (${result.exitCode ?? result.signal ?? result.originalMessage})`);
    const late = sleep(timeoutMs, `not ready after ${timeoutMs} ms`, { signal: patience.signal }).catch(() => 'stopped waiting');
    const trouble = await Promise.race([ready(child, options, patience.signal), ended, late]);
    patience.abort();
    if (trouble !== undefined) {
      await program.kill();
      return fail(trouble);
    }
    return program;
  }

  cpuSeconds(): Promise<number> {
    return cpuSeconds(this.pid);
  }

  residentBytes(): Promise<number> {
    return residentBytes(this.pid);
  }

  /** Ends it as an operator would, and the hard way when it has not ended after 10 s. */
  async close(): Promise<void> {
    this.#child.kill('SIGTERM');
    const patience = new AbortController();
    const late = sleep(10_000, undefined, { signal: patience.signal }).then(
      () => this.#child.kill('SIGKILL'),
      () => {},
    );
    await this.#child;
    patience.abort();
    await late;
  }

  /** `kill -9`, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#child;
  }
}

/** Resolves to undefined once the program is ready. */
async function ready(child: Child, options: ProgramOptions, signal: AbortSignal): Promise<undefined> {
  const { readyText, readySocket, readyFile } = options;
  if (readyText !== undefined) {
    let seen = '';
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (piece: Buffer) => {
        seen = `${seen}${piece.toString()}`.slice(-4096);
        if (seen.includes(readyText)) resolve();
      });
    });
  }
  if (readySocket !== undefined) {
    while (!signal.aborted && !(await answers(readySocket))) await sleep(10);
  }
  if (readyFile !== undefined) {
    while (!signal.aborted && !existsSync(readyFile)) await sleep(10);
  }
  return undefined;
}

async function answers(address: string | number): Promise<boolean> {
  const socket = typeof address === 'string' ? connect(address) : connect(address, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
