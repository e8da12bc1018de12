/** Routes about the daemon as a whole. */
import { z } from 'zod';
import type { NodeControl } from '../control-node.js';
import { startJob } from '../job-stream.js';
import { imageParamsSchema } from '../schema-image.js';
import { drainLineSchema } from '../schema-job.js';
import { daemonStatusSchema, explanationSchema } from '../schema-node.js';
import { jobSchema, sendLines } from './job-answer.js';
import { type AdminApp, errorResponses } from './type.js';

export function addNodeRoutes(app: AdminApp, control: NodeControl): void {
  app.get(
    '/v1/status',
    { schema: { summary: 'Status of the daemon', tags: ['node'], response: { 200: daemonStatusSchema, ...errorResponses } } },
    () => control.status(),
  );

  app.get(
    '/metrics',
    { schema: { summary: 'Metrics in Prometheus text format', tags: ['node'], response: { 200: z.string(), ...errorResponses } } },
    async (_request, reply) => {
      reply.type('text/plain; version=0.0.4; charset=utf-8').serializer(String);
      return control.metrics();
    },
  );

  app.get(
    '/healthz',
    {
      schema: {
        summary: '`ok`, or 503 and a line for each disk that lost data or takes no writes',
        tags: ['node'],
        response: { 200: z.string(), 503: z.string() },
      },
    },
    async (_request, reply) => {
      reply.type('text/plain; charset=utf-8').serializer(String);
      const { troubles } = await control.status();
      if (troubles.length === 0) return 'ok\n';
      return reply.code(503).send(`${troubles.join('\n')}\n`);
    },
  );

  app.get('/v1/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    reply.type('application/json; charset=utf-8').serializer(String);
    return JSON.stringify(app.swagger());
  });

  app.get(
    '/v1/images/:name/explain',
    {
      schema: {
        summary: "Sources of an export's bytes, and the waits of its reads",
        tags: ['image'],
        params: imageParamsSchema,
        response: { 200: explanationSchema, ...errorResponses },
      },
    },
    ({ params: { name } }) => control.explain(name),
  );

  app.post(
    '/v1/node/drain',
    { schema: jobSchema("Move disks and the cluster's last copies away; the node is no home from then on", 'cluster', drainLineSchema) },
    async (_request, reply) => sendLines(reply, await startJob(reply.raw, (options) => control.drain(options))),
  );

  app.delete(
    '/v1/node/drain',
    {
      schema: {
        summary: 'End draining, so that the node is a home again',
        tags: ['cluster'],
        response: { 204: z.null(), ...errorResponses },
      },
    },
    async (_request, reply) => {
      await control.undrain();
      return reply.code(204).send(null);
    },
  );
}
