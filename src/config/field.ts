/**
 * Schemas of single fields of the configuration, over the functions that parse their texts. The
 * error of such a function becomes the text of the problem.
 */
import { z } from 'zod';
import { errorMessage } from '../base/error.js';
import { Secret } from '../base/secret.js';
import { parseSize } from '../base/size.js';
import { parseAddress, type SocketAddress } from './address.js';
import { parseDuration } from './value.js';

/** A string that `parse` reads. Its error becomes the problem's text. */
export function text<T>(parse: (text: string) => T, example = 'text') {
  return z.string(`must be a string in quotes, such as "${example}"`).transform((value, context): T => {
    try {
      return parse(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: errorMessage(error) });
      return z.NEVER;
    }
  });
}

/** A size may also be a plain number of bytes. */
export function size<T>(parse: (text: string) => T) {
  return z
    .union([z.string(), z.int().min(0, 'must not be negative: write a size such as "100G", or a number of bytes')])
    .transform(String)
    .pipe(text(parse));
}

export function atLeast(minBytes: number, written: string): (text: string) => number {
  return (value) => {
    const sizeBytes = parseSize(value);
    if (sizeBytes < minBytes) throw new Error(`"${value}" is too little: write at least ${written}, the size of the largest request`);
    return sizeBytes;
  };
}

export function positiveDuration(value: string): number {
  const durationMs = parseDuration(value);
  if (durationMs === 0) throw new Error(`"${value}" leaves no time: write at least 1ms`);
  return durationMs;
}

/** One address or a list of them. */
export function addresses() {
  return z
    .union([z.string(), z.array(z.string()).min(1)], 'must be an address in quotes, such as "tcp:127.0.0.1:10808", or a list of them')
    .transform((value, context): SocketAddress[] => {
      const parsed = [value].flat().flatMap((written, index) => {
        try {
          return [parseAddress(written)];
        } catch (error) {
          context.addIssue({ code: 'custom', message: errorMessage(error), path: typeof value === 'string' ? [] : [index] });
          return [];
        }
      });
      return context.issues.length === 0 ? parsed : z.NEVER;
    });
}

export const nonEmpty = z.string().min(1, 'must not be empty');

/** Wraps a secret, so that no code prints it by mistake. */
export function secret(schema: z.ZodString) {
  return schema.transform((value) => new Secret(value));
}
