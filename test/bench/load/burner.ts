/** Processes that do nothing but use CPU: as much as they are told, or what nobody else wants. */
import { availableParallelism } from 'node:os';
import { execa } from 'execa';
import type { Closeable } from '../../../src/base/lifecycle.js';

/** Of each 10 ms a part is spent in a loop, the rest asleep. */
const program = `
const share = Number(process.argv[1]);
const cell = new Int32Array(new SharedArrayBuffer(4));
let dueMs = performance.now();
for (;;) {
  const endMs = dueMs + 10 * share;
  while (performance.now() < endMs);
  dueMs = Math.max(dueMs + 10, performance.now() - 10);
  const restMs = dueMs - performance.now();
  if (restMs > 0) Atomics.wait(cell, 0, 0, restMs);
}`;

/** @param cores CPU seconds for each second, spread evenly over as few processes as can do it */
export function startBurner(cores: number): Closeable {
  const count = Math.max(1, Math.ceil(cores));
  const children = Array.from({ length: count }, () =>
    execa(process.execPath, ['-e', program, String(cores / count)], { stdio: 'ignore', reject: false }),
  );
  return closing(children);
}

/** Keeps each core from sleeping, with the idle scheduling policy, which gives way to everybody: as cores are on a host whose guests have something to do. */
export function keepCoresAwake(): Closeable {
  return closing(
    Array.from({ length: availableParallelism() }, () =>
      execa('chrt', ['--idle', '0', 'sh', '-c', 'while :; do :; done'], { stdio: 'ignore', reject: false }),
    ),
  );
}

function closing(children: readonly (PromiseLike<unknown> & { kill(signal: 'SIGKILL'): boolean })[]): Closeable {
  return {
    async close() {
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(children);
    },
  };
}
