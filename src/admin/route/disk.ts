/** Routes about disks that run no job. */
import { z } from 'zod';
import type { DiskControl } from '../control-disk.js';
import { renameSchema } from '../schema.js';
import {
  diskAcceptLossSchema,
  diskCreateSchema,
  diskParamsSchema,
  diskResizeSchema,
  diskStatusSchema,
  diskTakeResultSchema,
  diskTakeSchema,
  snapshotParamsSchema,
} from '../schema-disk.js';
import { sendArray } from './array-answer.js';
import { type AdminApp, errorResponses } from './type.js';

const tags = ['disk'];
const params = diskParamsSchema;
const response = { 200: diskStatusSchema, ...errorResponses };

export function addDiskRoutes(app: AdminApp, control: DiskControl): void {
  app.get(
    '/v1/disks',
    {
      schema: {
        summary: "This node's disks and those of other nodes, sorted by name",
        tags,
        response: { 200: z.array(diskStatusSchema), ...errorResponses },
      },
    },
    async (_request, reply) => sendArray(reply, await control.list(), diskStatusSchema),
  );

  app.get('/v1/disks/:name', { schema: { summary: 'Status of a disk', tags, params, response } }, ({ params: { name } }) =>
    control.status(name),
  );

  app.put(
    '/v1/disks/:name',
    { schema: { summary: 'Create a disk over an image, or a blank one', tags, params, body: diskCreateSchema, response } },
    ({ params: { name }, body }) => control.create({ name, ...body }),
  );

  app.delete(
    '/v1/disks/:name',
    {
      schema: {
        summary: 'Remove a disk without clients, with its snapshots',
        tags,
        params,
        response: { 204: z.null(), ...errorResponses },
      },
    },
    async ({ params: { name } }, reply) => {
      await control.remove(name);
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/v1/disks/:name/resize',
    { schema: { summary: 'Grow a disk without clients', tags, params, body: diskResizeSchema, response } },
    ({ params: { name }, body }) => control.resize(name, body.sizeBytes),
  );

  app.post(
    '/v1/disks/:name/rename',
    { schema: { summary: 'Rename a disk without clients', tags, params, body: renameSchema, response } },
    ({ params: { name }, body }) => control.rename(name, body.name),
  );

  app.post(
    '/v1/disks/:name/take',
    {
      schema: {
        summary: 'Make this node the owner, and lift all fences',
        tags,
        params,
        body: diskTakeSchema.nullish(),
        response: { 200: diskTakeResultSchema, ...errorResponses },
      },
    },
    ({ params: { name }, body }) => control.take(name, body ?? {}),
  );

  app.post(
    '/v1/disks/:name/accept-loss',
    {
      schema: {
        summary: 'Accept the loss of data by a failed sync, so that flushes succeed again',
        tags,
        params,
        body: diskAcceptLossSchema.nullish(),
        response,
      },
    },
    ({ params: { name }, body }) => control.acceptLoss(name, body ?? {}),
  );

  app.delete(
    '/v1/disks/:name/snapshots/:snapshot',
    { schema: { summary: 'Remove a snapshot', tags, params: snapshotParamsSchema, response } },
    ({ params: { name, snapshot } }) => control.removeSnapshot(name, snapshot),
  );
}
