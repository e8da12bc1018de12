/** Answers of routes that run a job. */
import type { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { errorResponses } from './type.js';

const description =
  'Answers with newline-delimited JSON: any number of progress lines, then one result or error line. The job ends when the client goes away. ' +
  'A job that fails before its first progress is answered with a status of its own.';

/** The schema of a route that runs a job, given the schema of a line. */
export function jobSchema<T extends z.ZodType>(summary: string, tag: string, line: T) {
  const response = { 200: { description, content: { 'application/x-ndjson': { schema: line } } }, ...errorResponses };
  return { summary, description, tags: [tag], response };
}

/** Sends the lines past the serializer, because the route's schema is that of a single line. */
export function sendLines(reply: FastifyReply, lines: PassThrough): FastifyReply {
  return reply.type('application/x-ndjson').send(lines);
}
