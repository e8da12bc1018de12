/**
 * Answers with an array, element by element. The text of 20 000 elements, made at once, would keep
 * guests waiting.
 *
 * Each element is checked against its schema, as the serializer checks a whole answer.
 */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { Slice } from '../../base/slice.js';

/** Size of the pieces that are sent, in characters. */
const pieceLength = 64 * 1024;

export function sendArray<T>(reply: FastifyReply, elements: readonly T[], schema: z.ZodType<T>): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(Readable.from(textOf(elements, schema)));
}

async function* textOf<T>(elements: readonly T[], schema: z.ZodType<T>): AsyncIterable<string> {
  const slice = new Slice();
  let text = '[';
  let isFirst = true;
  for (const element of elements) {
    await slice.turn();
    text += `${isFirst ? '' : ','}${JSON.stringify(schema.parse(element))}`;
    isFirst = false;
    if (text.length < pieceLength) continue;
    yield text;
    text = '';
  }
  yield `${text}]`;
}
