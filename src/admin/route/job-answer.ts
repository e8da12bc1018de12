/** How a route answers that tells of a job until it ends. */
import type { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { errorResponses } from './type.js';

const description =
  'Answers with newline-delimited JSON: any number of progress lines, then one result or error line. The job ends when the client goes away. ' +
  'What fails before the first progress is answered with a status of its own instead.';

/** What all jobs' schemas have, given that of a line. */
export function jobSchema<T extends z.ZodType>(summary: string, tag: string, line: T) {
  const response = { 200: { description, content: { 'application/x-ndjson': { schema: line } } }, ...errorResponses };
  return { summary, description, tags: [tag], response };
}

/** The schema is that of a line: the stream as a whole is not for the serializer. */
export function sendLines(reply: FastifyReply, lines: PassThrough): FastifyReply {
  return reply.type('application/x-ndjson').send(lines);
}
