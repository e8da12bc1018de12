/** Routes about images. */
import { z } from 'zod';
import { checkDigest } from '../../base/digest-text.js';
import { CopseError } from '../../base/error.js';
import { checkOriginUrl } from '../../config/url.js';
import { missingOfManifest } from '../../config/value.js';
import type { ImageControl } from '../control-image.js';
import { renameSchema } from '../schema.js';
import { type ImageAddRequest, imageAddSchema, imageParamsSchema, imageStatusSchema } from '../schema-image.js';
import { sendArray } from './array-answer.js';
import { type AdminApp, errorResponses } from './type.js';

const tags = ['image'];
const params = imageParamsSchema;
const response = { 200: imageStatusSchema, ...errorResponses };

export function addImageRoutes(app: AdminApp, control: ImageControl): void {
  app.get(
    '/v1/images',
    { schema: { summary: 'All images, sorted by name', tags, response: { 200: z.array(imageStatusSchema), ...errorResponses } } },
    async (_request, reply) => sendArray(reply, await control.list(), imageStatusSchema),
  );

  app.get('/v1/images/:name', { schema: { summary: 'Status of an image', tags, params, response } }, ({ params: { name } }) =>
    control.status(name),
  );

  app.put(
    '/v1/images/:name',
    {
      schema: { summary: "Pin an origin's content and serve it under the name; idempotent", tags, params, body: imageAddSchema, response },
    },
    ({ params: { name }, body }) => control.add(checkAdd({ name, ...body })),
  );

  app.delete(
    '/v1/images/:name',
    { schema: { summary: 'Remove an image without clients', tags, params, response: { 204: z.null(), ...errorResponses } } },
    async ({ params: { name } }, reply) => {
      await control.remove(name);
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/v1/images/:name/repin',
    { schema: { summary: "Move the name to the origin's present content", tags, params, response } },
    ({ params: { name } }) => control.repin(name),
  );

  app.post(
    '/v1/images/:name/rename',
    { schema: { summary: 'Rename an image without clients', tags, params, body: renameSchema, response } },
    ({ params: { name }, body }) => control.rename(name, body.name),
  );
}

/** @throws CopseError `ERR_URL`, `ERR_DIGEST`, `ERR_OPTION` */
function checkAdd(request: ImageAddRequest): ImageAddRequest {
  checkOriginUrl(request.url);
  if (request.manifest !== undefined) checkOriginUrl(request.manifest);
  if (request.digest !== undefined) checkDigest(request.digest);
  const missing = missingOfManifest(request);
  if (missing !== undefined) throw new CopseError('ERR_OPTION', `${missing} is missing: manifest and digest are given together`);
  return request;
}
