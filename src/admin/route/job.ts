/** Routes that start a job and tell of it until it ends: warm and verify. */
import type { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Control } from '../control.js';
import { startJob } from '../job-stream.js';
import { imageParamsSchema, verifyLineSchema, warmLineSchema } from '../schema.js';
import { type AdminApp, errorResponses } from './type.js';

const tags = ['image'];
const params = imageParamsSchema;
const description =
  'Answers with newline-delimited JSON: any number of progress lines, then one result or error line. The job ends when the client goes away. ' +
  'What fails before the first progress is answered with a status of its own instead.';

export function addJobRoutes(app: AdminApp, control: Control): void {
  app.post(
    '/v1/images/:name/warm',
    {
      schema: {
        summary: 'Fetch what this host does not hold',
        description,
        tags,
        params,
        response: { 200: { description, content: { 'application/x-ndjson': { schema: warmLineSchema } } }, ...errorResponses },
      },
    },
    async ({ params: { name } }, reply) => {
      const lines = await startJob(reply.raw, (options) => control.warmImage(name, options));
      return sendLines(reply, lines);
    },
  );

  app.post(
    '/v1/images/:name/verify',
    {
      schema: {
        summary: 'Compare what is cached with its checksums',
        description,
        tags,
        params,
        response: { 200: { description, content: { 'application/x-ndjson': { schema: verifyLineSchema } } }, ...errorResponses },
      },
    },
    async ({ params: { name } }, reply) => {
      const lines = await startJob(reply.raw, (options) => control.verifyImage(name, options));
      return sendLines(reply, lines);
    },
  );
}

/** The schema is that of a line: the stream as a whole is not for the serializer. */
function sendLines(reply: FastifyReply, lines: PassThrough): FastifyReply {
  return reply.type('application/x-ndjson').send(lines);
}
