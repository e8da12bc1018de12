/**
 * What commands print: results on standard output, everything else on standard error.
 *
 * Invariant: with `--json`, standard output is exactly one JSON document, an error's included.
 */
import { errorCode, errorMessage } from '../base/error.js';

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
  if (process.env['COPSE_DEBUG'] === '1' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
}

/** A reader that closes its end (`| head`) is no error. */
export function endQuietlyOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      if (errorCode(error) === 'EPIPE') process.exit();
      throw error;
    });
  }
}
