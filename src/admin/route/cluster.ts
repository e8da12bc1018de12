/** Routes about the cluster that the node is in. */
import { z } from 'zod';
import { checkClusterChoice } from '../../config/value.js';
import type { Control } from '../control.js';
import { imageParamsSchema } from '../schema.js';
import { clusterImageStatusSchema, clusterMoveResultSchema, clusterMoveSchema, clusterStatusSchema } from '../schema-cluster.js';
import { type AdminApp, errorResponses } from './type.js';

const tags = ['cluster'];

export function addClusterRoutes(app: AdminApp, control: Control): void {
  app.get(
    '/v1/cluster',
    { schema: { summary: 'The members as this node sees them', tags, response: { 200: clusterStatusSchema, ...errorResponses } } },
    () => control.clusterStatus(),
  );

  app.post(
    '/v1/cluster/move',
    {
      schema: {
        summary: 'Move this node to another cluster',
        tags,
        body: clusterMoveSchema,
        response: { 200: clusterMoveResultSchema, ...errorResponses },
      },
    },
    ({ body }) => control.moveCluster(checkClusterChoice(body.name)),
  );

  app.get(
    '/v1/images/:name/cluster',
    {
      schema: {
        summary: 'What the cluster holds of an image',
        tags,
        params: imageParamsSchema,
        response: { 200: clusterImageStatusSchema, ...errorResponses },
      },
    },
    ({ params: { name } }) => control.clusterImageStatus(name),
  );

  app.delete(
    '/v1/node/drain',
    { schema: { summary: 'End draining: be a home again', tags, response: { 204: z.null(), ...errorResponses } } },
    async (_request, reply) => {
      await control.undrainNode();
      return reply.code(204).send(null);
    },
  );
}
