/** Routes that start a job on an image or the node, and tell of it until it ends: warm, verify, seal, drain. */
import { z } from 'zod';
import type { Control } from '../control.js';
import { startJob } from '../job-stream.js';
import { imageParamsSchema } from '../schema.js';
import { drainLineSchema, sealLineSchema, verifyLineSchema, warmLineSchema } from '../schema-job.js';
import { jobSchema, sendLines } from './job-answer.js';
import type { AdminApp } from './type.js';

const params = imageParamsSchema;

export function addJobRoutes(app: AdminApp, control: Control): void {
  const querystring = z.strictObject({
    cluster: z.enum(['true', 'false']).optional().describe("true fills the cluster's cache, spread over its homes."),
  });
  app.post(
    '/v1/images/:name/warm',
    { schema: { ...jobSchema('Fetch what this host, or the cluster, does not hold', 'image', warmLineSchema), params, querystring } },
    async ({ params: { name }, query }, reply) => {
      const cluster = query.cluster === 'true';
      return sendLines(reply, await startJob(reply.raw, (options) => control.warmImage(name, { ...options, cluster })));
    },
  );

  app.post(
    '/v1/images/:name/verify',
    { schema: { ...jobSchema('Compare what is cached with its checksums', 'image', verifyLineSchema), params } },
    async ({ params: { name } }, reply) => sendLines(reply, await startJob(reply.raw, (options) => control.verifyImage(name, options))),
  );

  app.post(
    '/v1/images/:name/seal',
    { schema: { ...jobSchema('Read all of an image and write its manifest', 'image', sealLineSchema), params } },
    async ({ params: { name } }, reply) => sendLines(reply, await startJob(reply.raw, (options) => control.sealImage(name, options))),
  );

  app.post(
    '/v1/node/drain',
    { schema: jobSchema("Hand the cluster's last copies on, and be no home from now on", 'cluster', drainLineSchema) },
    async (_request, reply) => sendLines(reply, await startJob(reply.raw, (options) => control.drainNode(options))),
  );
}
