/**
 * What the demo started and must end again, whatever happens: newest first, each once.
 *
 * Invariant: after `end` resolved, nothing that was registered is left running.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { execa, type Options } from 'execa';

export class Lifetime {
  readonly #endings: (() => Promise<void>)[] = [];

  #ended: Promise<void> | undefined;

  /** Throws when the end has come: nothing may be started any more. */
  onEnd(ending: () => Promise<void>): void {
    this.check();
    this.#endings.push(ending);
  }

  check(): void {
    if (this.#ended) throw new Error('interrupted');
  }

  /** Ends everything; a second call waits for the first. */
  end(): Promise<void> {
    this.#ended ??= this.#endAll();
    return this.#ended;
  }

  async #endAll(): Promise<void> {
    for (let ending = this.#endings.pop(); ending; ending = this.#endings.pop()) {
      await ending().catch((error: unknown) => console.error(`demo: ${String(error)}`));
    }
  }
}

/** A program that runs until it is stopped. Its output goes to a log file. */
export interface Program {
  /** Resolves to the first match in a line of standard output from now on (at once after the start: in all of them); to `undefined` when the output ends without one. */
  waitForLine(pattern: RegExp): Promise<RegExpExecArray | undefined>;
  /** Resolves when the program has ended, however it did. */
  readonly ended: Promise<void>;
  /** SIGTERM, SIGKILL after 5 seconds; resolves when it is gone. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export function startProgram(
  lifetime: Lifetime,
  file: string,
  args: string[],
  logPath: string,
  { env = {} }: { env?: Record<string, string> } = {},
): Program {
  lifetime.check();
  const log = { file: logPath, append: true } as const;
  const options = {
    env,
    reject: false,
    buffer: false,
    forceKillAfterDelay: 5000,
    stdin: 'ignore',
    stdout: ['pipe', log],
    stderr: log,
  } as const satisfies Options;
  const child = execa(file, args, options);
  const output = createInterface({ input: child.stdout });
  const ended = child.then((result) => {
    if (result.code === 'ENOENT') throw new Error(`${file} is not installed`);
  });
  ended.catch(() => undefined);
  const program: Program = {
    waitForLine: (pattern) =>
      new Promise((resolve) => {
        output.on('line', (line) => {
          const match = pattern.exec(line);
          if (match) resolve(match);
        });
        output.on('close', () => resolve(undefined));
      }),
    ended,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      await ended.catch(() => undefined);
    },
  };
  lifetime.onEnd(() => program.stop());
  return program;
}

/** Resolves once somebody accepts connections there, tried every 20 ms; rejects when the program ends or after the timeout. */
export async function waitForListener(
  address: { path: string } | { host: string; port: number },
  program: Program,
  timeoutMs: number,
): Promise<void> {
  let ended = false;
  const end = () => {
    ended = true;
  };
  program.ended.then(end, end);
  for (const until = Date.now() + timeoutMs; Date.now() < until && !ended; ) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = connect(address, () => resolve(true));
      socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
    });
    if (accepted) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nobody listens at ${JSON.stringify(address)}`);
}
