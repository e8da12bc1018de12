/** What happened in a run, line by line: a hash of all of it, which tells two runs apart, and the last lines, for people. */
import { createHash } from 'node:crypto';

const keptLines = 2000;

export class Trace {
  readonly #hash = createHash('sha256');
  readonly #lines: string[] = [];
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  add(line: string): void {
    const stamped = `${this.#nowMs().toFixed(3)} ${line}`;
    this.#hash.update(`${stamped}\n`);
    this.#lines.push(stamped);
    if (this.#lines.length > 2 * keptLines) this.#lines.splice(0, keptLines);
  }

  /** Of everything so far. */
  get digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** The last lines about one of the nodes, and what happened to all. */
  about(nodeIds: readonly string[], limit: number): string[] {
    return this.#lines.filter((line) => line.includes(' * ') || nodeIds.some((id) => line.includes(id))).slice(-limit);
  }
}
