/**
 * A call and its answer as bytes of the export `call`: what is asked is written at offset 0, and what comes of it is read from there, behind a header with its length.
 *
 *   0      {"copse":"call","format":1,"lengthBytes":123}, spaces, newline
 *   4096   the answer: `lengthBytes` of JSON, {"result":…} or {"error":{"code":…,"message":…}}
 *
 * Decoders throw CopseError alone, whatever the bytes. Source: docs/reference/peer-protocol.md.
 */
import { z } from 'zod';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { ErrorCode } from '../../base/error-code.js';
import { KiB, MiB } from '../../base/size.js';

export const maxRequestBytes = 64 * KiB;
export const maxAnswerBytes = 1 * MiB;
export const answerHeaderBytes = 4 * KiB;
/** Of the export. */
export const callPageBytes = answerHeaderBytes + maxAnswerBytes;

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
  throw new CopseError('ERR_CALL_TOO_LARGE', `call of ${call.method}: ${bytes.length} bytes, the most is ${maxRequestBytes}`);
}

/** @throws CopseError `ERR_CALL` */
export function decodeCall(bytes: Buffer): Call {
  const call = callSchema.safeParse(parse(bytes, 'ERR_CALL', 'what was written'));
  if (!call.success) throw new CopseError('ERR_CALL', 'what was written is no call', { cause: call.error });
  return { method: call.data.method, argument: call.data.argument };
}

/** The answer's JSON. One that is too long, or that JSON does not know, becomes an error. */
export function encodeAnswer(answer: Answer): Buffer {
  let bytes: Buffer;
  try {
    // What has no value is told as null: an absent result would be no answer.
    bytes = Buffer.from(JSON.stringify('result' in answer ? { result: answer.result ?? null } : answer));
  } catch (error) {
    return encodeAnswer(answerOf(error));
  }
  if (bytes.length <= maxAnswerBytes) return bytes;
  return encodeAnswer(
    answerOf(new CopseError('ERR_ANSWER_TOO_LARGE', `an answer of ${bytes.length} bytes, the most is ${maxAnswerBytes}`)),
  );
}

/** What was thrown, as an answer. */
export function answerOf(error: unknown): Answer {
  const code = errorCode(error);
  const known = /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : 'ERR_UNKNOWN';
  return { error: { code: known, message: errorMessage(error).slice(0, maxMessageLength) } };
}

/** `answerHeaderBytes` of them. */
export function encodeAnswerHeader(lengthBytes: number): Buffer {
  const header = Buffer.alloc(answerHeaderBytes, ' ');
  header.write(JSON.stringify({ copse: 'call', format: 1, lengthBytes }));
  header.write('\n', answerHeaderBytes - 1);
  return header;
}

/** @returns the answer's length, 1 to `maxAnswerBytes`. @throws CopseError `ERR_CALL` */
export function decodeAnswerHeader(bytes: Buffer): number {
  const header = headerSchema.safeParse(parse(bytes, 'ERR_CALL', "the answer's header"));
  if (!header.success) throw new CopseError('ERR_CALL', "the answer's header can not be read", { cause: header.error });
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
    throw new CopseError(code, `${what} is no JSON`, { cause: error });
  }
}
