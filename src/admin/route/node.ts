/** Routes about the daemon as a whole. */
import { z } from 'zod';
import type { Control } from '../control.js';
import { daemonStatusSchema } from '../schema.js';
import { type AdminApp, errorResponses } from './type.js';

export function addNodeRoutes(app: AdminApp, control: Control): void {
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
        summary: 'Answers ok, or 503 and a line for each disk that lost data or can not be written',
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
}
