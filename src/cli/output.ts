/**
 * Output of commands: results on standard output, all else on standard error.
 *
 * Invariants:
 * - With `--json`, standard output is exactly one JSON document, also for an error.
 * - A result that can't be written is one line on standard error, and an exit code of its own.
 * - A reader that goes away, as `| head` does, is no error.
 */
import { fstatSync, writeSync } from 'node:fs';
import { redactUrls } from '../base/display-url.js';
import { errorCode, errorMessage } from '../base/error.js';
import { ExitCode } from './exit-code.js';

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function printText(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** Prints a note beside the result. */
export function printNote(text: string): void {
  process.stderr.write(`${text.replaceAll(/^/gm, 'copse: ')}\n`);
}

/** Prints each line of the message after `copse: `. `COPSE_DEBUG=1` adds the stack. */
export function printError(error: unknown, options: { json: boolean }): void {
  const message = errorMessage(error);
  if (options.json) printJson({ error: { code: errorCode(error), message } });
  printNote(message);
  if (process.env['COPSE_DEBUG'] === '1' && error instanceof Error) process.stderr.write(`${redactUrls(error.stack ?? '')}\n`);
}

/** Action when a reader has gone; absent: the process ends at once. */
let onReaderGone: (() => void) | undefined;

/** Sets the action when a reader has gone. @returns a function that unsets it */
export function whenReaderGoes(action: () => void): () => void {
  onReaderGone = action;
  return () => {
    if (onReaderGone === action) onReaderGone = undefined;
  };
}

/** Handles failures of the output. Call it once, before the first output. */
export function watchOutput(): void {
  writeWhole(process.stdout);
  process.stdout.on('error', (error) => {
    if (errorCode(error) === 'EPIPE' || onReaderGone !== undefined) return endQuietly();
    printNote(`the result can't be written: ${errorMessage(error)}`);
    process.exit(ExitCode.noSpace);
  });
  // A failure of standard error can be reported nowhere.
  process.stderr.on('error', (error) => {
    if (errorCode(error) === 'EPIPE') endQuietly();
  });
}

function endQuietly(): void {
  if (onReaderGone === undefined) process.exit();
  onReaderGone();
}

/**
 * Writes all of each piece to a file. Node's stream drops the rest after a short write, as the
 * first write on a full disk is.
 */
function writeWhole(stream: NodeJS.WriteStream & { fd: number }): void {
  if (!fstatSync(stream.fd).isFile()) return;
  stream._write = (chunk: Buffer | string, encoding, done) => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(stream.fd, bytes, at);
    } catch (error) {
      done(error as Error);
      return;
    }
    done();
  };
}
