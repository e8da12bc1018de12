/** Routes that run a job on an image: warm, verify, seal. */
import { z } from 'zod';
import type { ImageControl } from '../control-image.js';
import { startJob } from '../job-stream.js';
import { imageParamsSchema } from '../schema-image.js';
import { sealLineSchema, verifyLineSchema, warmLineSchema } from '../schema-job.js';
import { jobSchema, sendLines } from './job-answer.js';
import type { AdminApp } from './type.js';

const params = imageParamsSchema;

export function addImageJobRoutes(app: AdminApp, control: ImageControl): void {
  const querystring = z.strictObject({
    cluster: z.enum(['true', 'false']).optional().describe("true fills the cluster's cache: each chunk comes to its home once."),
  });
  app.post(
    '/v1/images/:name/warm',
    { schema: { ...jobSchema('Fetch what this host, or the cluster, does not hold', 'image', warmLineSchema), params, querystring } },
    async ({ params: { name }, query }, reply) => {
      const cluster = query.cluster === 'true';
      return sendLines(reply, await startJob(reply.raw, (options) => control.warm(name, { ...options, cluster })));
    },
  );

  app.post(
    '/v1/images/:name/verify',
    { schema: { ...jobSchema('Compare what is cached with its checksums', 'image', verifyLineSchema), params } },
    async ({ params: { name } }, reply) => sendLines(reply, await startJob(reply.raw, (options) => control.verify(name, options))),
  );

  app.post(
    '/v1/images/:name/seal',
    { schema: { ...jobSchema('Read all of an image and write its manifest', 'image', sealLineSchema), params } },
    async ({ params: { name } }, reply) => sendLines(reply, await startJob(reply.raw, (options) => control.seal(name, options))),
  );
}
