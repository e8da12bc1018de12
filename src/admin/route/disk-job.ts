/** Routes that run a job on a disk: snapshot, revert, promote, migrate. */
import { isAbsolute } from 'node:path';
import { CopseError } from '../../base/error.js';
import type { DiskControl } from '../control-disk.js';
import { startJob } from '../job-stream.js';
import { diskMigrateSchema, diskParamsSchema, diskPromoteSchema, snapshotParamsSchema } from '../schema-disk.js';
import { migrateLineSchema, plainLineSchema, promoteLineSchema } from '../schema-job.js';
import { jobSchema, sendLines } from './job-answer.js';
import type { AdminApp } from './type.js';

const params = diskParamsSchema;

export function addDiskJobRoutes(app: AdminApp, control: DiskControl): void {
  app.post(
    '/v1/disks/:name/snapshots/:snapshot',
    { schema: { ...jobSchema('Make a snapshot', 'disk', plainLineSchema), params: snapshotParamsSchema } },
    async ({ params: { name, snapshot } }, reply) =>
      sendLines(reply, await startJob(reply.raw, (options) => control.snapshot(name, snapshot, options))),
  );

  app.post(
    '/v1/disks/:name/snapshots/:snapshot/revert',
    { schema: { ...jobSchema('Bring the disk back to a snapshot, which stays', 'disk', plainLineSchema), params: snapshotParamsSchema } },
    async ({ params: { name, snapshot } }, reply) =>
      sendLines(reply, await startJob(reply.raw, (options) => control.revert(name, snapshot, options))),
  );

  app.post(
    '/v1/disks/:name/promote',
    { schema: { ...jobSchema('Make an image of a disk', 'disk', promoteLineSchema), params, body: diskPromoteSchema } },
    async ({ params: { name }, body: { image, path } }, reply) => {
      if (path !== undefined && !isAbsolute(path)) throw new CopseError('ERR_OPTION', `path "${path}" is relative: give an absolute one`);
      return sendLines(reply, await startJob(reply.raw, (options) => control.promote(name, image, { ...options, path })));
    },
  );

  app.post(
    '/v1/disks/:name/migrate',
    {
      schema: {
        ...jobSchema('Copy a disk ahead to another node, and hand it over', 'disk', migrateLineSchema),
        params,
        body: diskMigrateSchema,
      },
    },
    async ({ params: { name }, body: { to } }, reply) =>
      sendLines(reply, await startJob(reply.raw, (options) => control.migrate(name, to, options))),
  );
}
