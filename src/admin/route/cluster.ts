/** Routes about the node's cluster. */
import { checkClusterChoice } from '../../config/value.js';
import type { ClusterControl } from '../control-cluster.js';
import { clusterImageStatusSchema, clusterMoveResultSchema, clusterMoveSchema, clusterStatusSchema } from '../schema-cluster.js';
import { imageParamsSchema } from '../schema-image.js';
import { type AdminApp, errorResponses } from './type.js';

const tags = ['cluster'];

export function addClusterRoutes(app: AdminApp, control: ClusterControl): void {
  app.get(
    '/v1/cluster',
    { schema: { summary: 'The members as this node sees them', tags, response: { 200: clusterStatusSchema, ...errorResponses } } },
    () => control.status(),
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
    ({ body }) => control.move(checkClusterChoice(body.name)),
  );

  app.get(
    '/v1/images/:name/cluster',
    {
      schema: {
        summary: 'Chunks of an image that the cluster holds',
        tags,
        params: imageParamsSchema,
        response: { 200: clusterImageStatusSchema, ...errorResponses },
      },
    },
    ({ params: { name } }) => control.imageStatus(name),
  );
}
