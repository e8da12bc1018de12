/**
 * An array as an answer, element by element: making the text of 20 000 of them at once would keep guests waiting.
 *
 * Each element is checked against its schema, as the serializer checks a whole answer.
 */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { Slice } from '../../base/slice.js';

/** Text that is sent at once. */
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
