/**
 * The admin API: `Control` over HTTP.
 *
 * Invariants: requests are checked against their schemas before `control` sees them; every error is `{ code, message }` with the
 * status of its code; closing ends the jobs that clients wait for.
 */
import swagger from '@fastify/swagger';
import fastify, { type FastifyBaseLogger, type FastifyError, LogController } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { type CopseError, errorCode, errorMessage } from '../base/error.js';
import type { Closeable } from '../base/lifecycle.js';
import type { Logger } from '../base/log.js';
import type { SocketAddress } from '../config/address.js';
import type { Control } from './control.js';
import { refusal } from './guard.js';
import { httpStatusOf } from './http-status.js';
import { type BindOptions, bind } from './listen.js';
import { addClusterRoutes } from './route/cluster.js';
import { addDiskRoutes } from './route/disk.js';
import { addDiskJobRoutes } from './route/disk-job.js';
import { addImageRoutes } from './route/image.js';
import { addJobRoutes } from './route/job.js';
import { addNodeRoutes } from './route/node.js';
import type { AdminApp } from './route/type.js';

export interface AdminServerOptions extends BindOptions {
  log: Logger;
}

export class AdminServer implements Closeable {
  readonly #app: AdminApp;
  readonly #allowRemote: boolean;
  #guard: { onlyLocal: boolean } | undefined;

  constructor(control: Control, options: AdminServerOptions) {
    this.#allowRemote = options.allowRemote;
    this.#app = createApp(options.log);
    this.#app.addHook('onRequest', async (request, reply) => {
      const reason = this.#guard && refusal(request.headers, this.#guard.onlyLocal);
      if (reason !== undefined)
        await reply.code(403).send({ code: 'ERR_FORBIDDEN', message: `${request.method} ${request.url}: ${reason}` });
    });
    // Routes are added within a plugin, so that swagger has been loaded and sees them.
    void this.#app.register(async (app) => {
      const typed = app.withTypeProvider<ZodTypeProvider>();
      addNodeRoutes(typed, control);
      addImageRoutes(typed, control);
      addJobRoutes(typed, control);
      addClusterRoutes(typed, control);
      addDiskRoutes(typed, control);
      addDiskJobRoutes(typed, control);
    });
  }

  /**
   * Serves on one address; called once.
   *
   * @returns the address with the port that the kernel chose
   * @throws CopseError `ERR_ADDRESS_REMOTE`, `ERR_ADDRESS_IN_USE`, `ERR_LISTEN`
   */
  async listen(address: SocketAddress): Promise<SocketAddress> {
    await this.#app.ready();
    if (address.kind === 'tcp') this.#guard = { onlyLocal: !this.#allowRemote };
    return bind(this.#app.server, address, { allowRemote: this.#allowRemote });
  }

  /** Ends jobs and connections at once. Idempotent. */
  async close(): Promise<void> {
    const { server } = this.#app;
    if (server.listening) {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    }
    await this.#app.close();
  }
}

/** @param control must outlive the server */
export function createAdminServer(control: Control, options: { log: Logger; allowRemote?: boolean | undefined }): AdminServer {
  return new AdminServer(control, { log: options.log, allowRemote: options.allowRemote ?? false });
}

function createApp(log: Logger): AdminApp {
  const logger: FastifyBaseLogger = log.child({ room: 'admin' });
  const app = fastify({
    loggerInstance: logger,
    // Failures are logged by the error handler, with their codes.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 64 * 1024,
    // Percent-encoded names of 255 characters.
    routerOptions: { maxParamLength: 3 * 255 },
    return503OnClosing: false,
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error: FastifyError | CopseError, request, reply) => {
    const { status, code, message } = describe(error);
    // Others are the asker's concern, or the origin's, which the daemon tells of by itself.
    if (status === 500) request.log.error({ err: error, method: request.method, url: request.url }, 'request failed');
    return reply.code(status).send({ code, message });
  });
  app.setNotFoundHandler((request, reply) => {
    const message = `there is no ${request.method} ${request.url}: see GET /v1/openapi.json`;
    return reply.code(404).send({ code: 'ERR_NO_SUCH_ROUTE', message });
  });
  void app.register(swagger, {
    openapi: { info: { title: 'Copse admin API', description: 'What can be asked of a running copse daemon.', version: '1' } },
    transform: jsonSchemaTransform,
  });
  return app;
}

function describe(error: FastifyError | CopseError): { status: number; code: string; message: string } {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const message = error.validation
      .map((issue) => `${error.validationContext}${issue.instancePath.replaceAll('/', '.')}: ${issue.message}`)
      .join('; ');
    return { status: 400, code: 'ERR_REQUEST', message };
  }
  const code = errorCode(error);
  const isRefusedByFastify = code.startsWith('FST_') && 'statusCode' in error && (error.statusCode ?? 500) < 500;
  if (isRefusedByFastify) return { status: error.statusCode ?? 400, code: 'ERR_REQUEST', message: error.message };
  return { status: httpStatusOf(code), code, message: errorMessage(error) };
}
