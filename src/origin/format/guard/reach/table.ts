/**
 * Reads an image's allocation tables within a budget, and compares each place that they name with
 * the end of the file.
 *
 * A decoder reads zeros beyond the end of a file, so an image that was cut off becomes a disk of
 * zeros. The tables show the cut.
 *
 * Invariants: no read is longer than 1 MiB; tables beyond the budget are not read; a place beyond
 * the end of the file ends the walk with an error.
 */
import { OriginError } from '../../../origin.js';
import type { Subject } from '../inspection.js';
import { malformed } from '../refusal.js';

const pieceBytes = 1024 * 1024;
/** A read that does not follow the one before costs the cache a chunk of its own. */
const seekCostBytes = 256 * 1024;

/** The tables are larger than the budget, so it is unknown if the file is whole. */
export class TableBudgetError extends Error {}

export class TableReader {
  readonly #subject: Subject;
  readonly #format: string;
  #budgetBytes: number;
  #nextOffset = -1;

  /** @param budgetBytes bytes that may be read; each read at a new place counts 256 KiB more */
  constructor(subject: Subject, format: string, budgetBytes: number) {
    this.#subject = subject;
    this.#format = format;
    this.#budgetBytes = budgetBytes;
  }

  get sizeBytes(): number {
    return this.#subject.sizeBytes;
  }

  /** Reads a part of the header, as far as the file has it. */
  header(offset: number, lengthBytes: number): Promise<Buffer> {
    return this.#subject.read(offset, lengthBytes);
  }

  /** Makes the error for a field that no sound image has. */
  malformed(why: string): OriginError {
    return malformed(this.#subject.url, this.#format, why);
  }

  /**
   * Reads a table of at most 1 MiB.
   *
   * @throws OriginError `ERR_FORMAT` if the file ends before the table does; TableBudgetError
   */
  async table(offset: number, lengthBytes: number): Promise<Buffer> {
    if (lengthBytes > pieceBytes) throw this.malformed(`a table of ${lengthBytes} bytes`);
    this.data(offset, lengthBytes);
    this.#budgetBytes -= lengthBytes + (offset === this.#nextOffset ? 0 : seekCostBytes);
    if (this.#budgetBytes < 0) throw new TableBudgetError();
    this.#nextOffset = offset + lengthBytes;
    return this.#subject.read(offset, lengthBytes);
  }

  /** Reads a table of any length in pieces of at most 1 MiB. @throws as `table` */
  async *pieces(offset: number, lengthBytes: number): AsyncGenerator<Buffer> {
    this.data(offset, lengthBytes);
    for (let doneBytes = 0; doneBytes < lengthBytes; doneBytes += pieceBytes) {
      yield await this.table(offset + doneBytes, Math.min(pieceBytes, lengthBytes - doneBytes));
    }
  }

  /**
   * Notes that the image needs these bytes. @throws OriginError `ERR_FORMAT` if the file ends
   * before them
   */
  data(offset: number, lengthBytes: number): void {
    const { url, sizeBytes } = this.#subject;
    const endOffset = offset + lengthBytes;
    if (endOffset <= sizeBytes) return;
    throw new OriginError(
      'ERR_FORMAT',
      `${url}: the file is cut off: its ${this.#format} tables name bytes up to ${endOffset}, and it has ${sizeBytes}: fetch it again`,
    );
  }
}

/** Reads a 64-bit number as a double: exact to 2^53, and beyond that larger than any file. */
export function readUInt64BE(buffer: Buffer, offset: number): number {
  return buffer.readUInt32BE(offset) * 2 ** 32 + buffer.readUInt32BE(offset + 4);
}

/** Does the same as `readUInt64BE`, little endian. */
export function readUInt64LE(buffer: Buffer, offset: number): number {
  return buffer.readUInt32LE(offset + 4) * 2 ** 32 + buffer.readUInt32LE(offset);
}
