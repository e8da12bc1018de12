/**
 * What commands print: results on standard output, everything else on standard error.
 *
 * Invariants: with `--json`, standard output is exactly one JSON document, an error's included; a result that can't be written is one line
 * on standard error and an exit code of its own; a reader that has gone (`| head`) is no error.
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

/** Something to know besides the result. */
export function printNote(text: string): void {
  process.stderr.write(`${text.replaceAll(/^/gm, 'copse: ')}\n`);
}

/** Each line of the message begins with `copse: `; the stack is for whoever set `COPSE_DEBUG=1`. */
export function printError(error: unknown, options: { json: boolean }): void {
  const message = errorMessage(error);
  if (options.json) printJson({ error: { code: errorCode(error), message } });
  printNote(message);
  if (process.env['COPSE_DEBUG'] === '1' && error instanceof Error) process.stderr.write(`${redactUrls(error.stack ?? '')}\n`);
}

/** What is to be done when a reader has gone, instead of ending at once: end a job in order, or go on. */
let onReaderGone: (() => void) | undefined;

/** @returns what takes it back */
export function whenReaderGoes(action: () => void): () => void {
  onReaderGone = action;
  return () => {
    if (onReaderGone === action) onReaderGone = undefined;
  };
}

/** To be called once, before anything is printed. */
export function watchOutput(): void {
  writeWhole(process.stdout);
  process.stdout.on('error', (error) => {
    if (errorCode(error) === 'EPIPE' || onReaderGone !== undefined) return endQuietly();
    printNote(`the result can't be written: ${errorMessage(error)}`);
    process.exit(ExitCode.noSpace);
  });
  // Of what can't be said, nothing can be said.
  process.stderr.on('error', (error) => {
    if (errorCode(error) === 'EPIPE') endQuietly();
  });
}

function endQuietly(): void {
  if (onReaderGone === undefined) process.exit();
  onReaderGone();
}

/** Node's stream for files drops what a short write left over: a full disk cuts the first one short, and fails the next. */
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
