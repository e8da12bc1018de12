/**
 * Codec of the export `call`, by which one node asks another to do something. The calling node
 * writes the call as JSON at offset 0, and then reads a page with the answer from offset 0:
 *
 *   0      {"copse":"call","format":1,"lengthBytes":123}, spaces, newline
 *   4096   the answer: `lengthBytes` of JSON, {"result":…} or {"error":{"code":…,"message":…}}
 *
 * Invariant: the decoders accept any bytes, and throw nothing but CopseError.
 *
 * Source: docs/reference/peer-protocol.md, "Calls".
 */
import { z } from 'zod';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { ErrorCode } from '../../base/error-code.js';
import { KiB, MiB } from '../../base/size.js';

/** Bound on the JSON of a call, in bytes. */
export const maxRequestBytes = 64 * KiB;
/** Bound on the JSON of an answer, in bytes. */
export const maxAnswerBytes = 1 * MiB;
/** Size of the header of an answer, in bytes. */
export const answerHeaderBytes = 4 * KiB;
/** Size of the export, in bytes. */
export const callPageBytes = answerHeaderBytes + maxAnswerBytes;

/** Bound on an error's message, in characters; the rest is cut off. */
const maxMessageLength = 4096;

export interface Call {
  method: string;
  argument: unknown;
}

export type Answer = { result: unknown } | { error: { code: string; message: string } };

const callSchema = z.object({ method: z.string().min(1).max(100), argument: z.unknown().optional() });
const headerSchema = z.object({
  copse: z.literal('call'),
  format: z.literal(1),
  lengthBytes: z.int().positive().max(maxAnswerBytes),
});
const failureSchema = z.object({
  error: z.object({
    code: z
      .string()
      .max(64)
      .regex(/^[A-Z][A-Z0-9_]*$/),
    message: z.string(),
  }),
});
const successSchema = z.object({ result: z.unknown() }).refine((answer) => 'result' in answer);

/** @throws CopseError `ERR_CALL_TOO_LARGE` */
export function encodeCall(call: Call): Buffer {
  const bytes = Buffer.from(JSON.stringify(call));
  if (bytes.length <= maxRequestBytes) return bytes;
  throw new CopseError(
    'ERR_CALL_TOO_LARGE',
    `the call of ${call.method} has ${bytes.length} bytes; at most ${maxRequestBytes} are allowed`,
  );
}

/** @throws CopseError `ERR_CALL` */
export function decodeCall(bytes: Buffer): Call {
  const call = callSchema.safeParse(parse(bytes, 'ERR_CALL', 'the call'));
  if (!call.success) throw new CopseError('ERR_CALL', 'the written JSON is not a call: it has no valid method', { cause: call.error });
  return { method: call.data.method, argument: call.data.argument };
}

/** Encodes an answer as JSON. An answer that is too long or has no JSON becomes an error. */
export function encodeAnswer(answer: Answer): Buffer {
  let bytes: Buffer;
  try {
    // JSON leaves out undefined values, and an answer without a result is not an answer.
    bytes = Buffer.from(JSON.stringify('result' in answer ? { result: answer.result ?? null } : answer));
  } catch (error) {
    return encodeAnswer(answerOf(error));
  }
  if (bytes.length <= maxAnswerBytes) return bytes;
  return encodeAnswer(
    answerOf(new CopseError('ERR_ANSWER_TOO_LARGE', `the answer has ${bytes.length} bytes; at most ${maxAnswerBytes} are allowed`)),
  );
}

/**
 * Makes an answer of an error that was thrown. A code that is not in Copse's form becomes
 * `ERR_UNKNOWN`.
 */
export function answerOf(error: unknown): Answer {
  const code = errorCode(error);
  const known = /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : 'ERR_UNKNOWN';
  return { error: { code: known, message: errorMessage(error).slice(0, maxMessageLength) } };
}

/** @returns `answerHeaderBytes` bytes */
export function encodeAnswerHeader(lengthBytes: number): Buffer {
  const header = Buffer.alloc(answerHeaderBytes, ' ');
  header.write(JSON.stringify({ copse: 'call', format: 1, lengthBytes }));
  header.write('\n', answerHeaderBytes - 1);
  return header;
}

/** @returns the length of the answer, 1 to `maxAnswerBytes`. @throws CopseError `ERR_CALL` */
export function decodeAnswerHeader(bytes: Buffer): number {
  const header = headerSchema.safeParse(parse(bytes, 'ERR_CALL', "the answer's header"));
  if (!header.success) throw new CopseError('ERR_CALL', "the answer's header is not in the expected form", { cause: header.error });
  return header.data.lengthBytes;
}

/** @throws CopseError `ERR_CALL` */
export function decodeAnswer(bytes: Buffer): Answer {
  const value = parse(bytes, 'ERR_CALL', 'the answer');
  const failure = failureSchema.safeParse(value);
  if (failure.success) return failure.data;
  const success = successSchema.safeParse(value);
  if (success.success) return { result: success.data.result };
  throw new CopseError('ERR_CALL', 'the answer is neither a result nor an error');
}

function parse(bytes: Buffer, code: ErrorCode, what: string): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    throw new CopseError(code, `${what} is not JSON`, { cause: error });
  }
}
