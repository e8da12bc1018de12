/**
 * The admin API: `Control` over HTTP.
 *
 * Invariants:
 * - Each request is checked against its schema before `control` sees it.
 * - Each error is `{ code, message }`, with the HTTP status of its code.
 * - Closing ends the jobs that clients wait for.
 */
import { isIP } from 'node:net';
import { hostname } from 'node:os';
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
import type { Secret } from '../base/secret.js';
import type { SocketAddress } from '../config/address.js';
import type { Control } from './control.js';
import { type GuardRule, refusal } from './guard.js';
import { httpStatusOf } from './http-status.js';
import { Listeners } from './listeners.js';
import { addClusterRoutes } from './route/cluster.js';
import { addDiskRoutes } from './route/disk.js';
import { addDiskJobRoutes } from './route/disk-job.js';
import { addImageRoutes } from './route/image.js';
import { addImageJobRoutes } from './route/image-job.js';
import { addNodeRoutes } from './route/node.js';
import type { AdminApp } from './route/type.js';

export interface AdminServerOptions {
  log: Logger;
  /** True if TCP addresses other than loopback are permitted. */
  allowRemote?: boolean | undefined;
  /** Token that requests on TCP must carry; absent: none. */
  token?: Secret | undefined;
  /**
   * Further names of this host in requests on TCP. `localhost`, the host's own name and the names
   * that it listens on are always known.
   */
  names?: readonly string[] | undefined;
}

export class AdminServer implements Closeable {
  readonly #app: AdminApp;
  readonly #listeners: Listeners;
  readonly #rule: GuardRule;
  readonly #names: string[];

  constructor({ log, allowRemote = false, token, names = [] }: AdminServerOptions) {
    this.#names = [hostname().toLowerCase(), ...names];
    this.#rule = { allowRemote, names: this.#names, token };
    this.#app = createApp(log);
    this.#listeners = new Listeners((request, response) => this.#app.routing(request, response), { allowRemote });
    this.#app.addHook('onRequest', async (request, reply) => {
      const refused = this.#listeners.isTcp(request.raw.socket) ? refusal(request.headers, this.#rule) : undefined;
      if (refused === undefined) return;
      if (refused.status === 401) reply.header('www-authenticate', 'Bearer');
      await reply.code(refused.status).send({ code: refused.code, message: `${request.method} ${request.url}: ${refused.reason}` });
    });
  }

  /**
   * Adds the routes over `control`, which must outlive the server. Call it once, before `listen`.
   */
  serve(control: Control): void {
    // Swagger sees only routes that are added after it was loaded, as those of a plugin are.
    void this.#app.register(async (app) => {
      const typed = app.withTypeProvider<ZodTypeProvider>();
      addNodeRoutes(typed, control.node);
      addImageRoutes(typed, control.images);
      addImageJobRoutes(typed, control.images);
      addClusterRoutes(typed, control.cluster);
      addDiskRoutes(typed, control.disks);
      addDiskJobRoutes(typed, control.disks);
    });
  }

  /** Addresses that it listens on, with the ports that the kernel chose. */
  get addresses(): SocketAddress[] {
    return this.#listeners.addresses;
  }

  /**
   * Listens on one more address.
   *
   * @returns the address with the port that the kernel chose
   * @throws CopseError `ERR_ADDRESS`, `ERR_ADDRESS_REMOTE`, `ERR_ADDRESS_IN_USE`, `ERR_LISTEN`
   */
  async listen(address: SocketAddress): Promise<SocketAddress> {
    await this.#app.ready();
    if (address.kind === 'tcp' && isIP(address.host) === 0) this.#names.push(address.host.toLowerCase());
    return this.#listeners.listen(address);
  }

  /** Ends jobs and connections at once. Idempotent. */
  async close(): Promise<void> {
    await this.#listeners.close();
    await this.#app.close();
  }
}

function createApp(log: Logger): AdminApp {
  const logger: FastifyBaseLogger = log.child({ room: 'admin' });
  const app = fastify({
    loggerInstance: logger,
    // The error handler logs failures, with their codes.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 64 * 1024,
    // A name of 255 characters takes up to three times as many when it is percent-encoded.
    routerOptions: { maxParamLength: 3 * 255 },
    return503OnClosing: false,
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error: FastifyError | CopseError, request, reply) => {
    const { status, code, message } = describe(error);
    // Other statuses tell the client of its own mistake, or of an origin's, which the daemon logs
    // itself.
    if (status === 500) request.log.error({ err: error, method: request.method, url: request.url }, 'request failed');
    return reply.code(status).send({ code, message });
  });
  app.setNotFoundHandler((request, reply) => {
    const message = `there is no ${request.method} ${request.url}: see GET /v1/openapi.json`;
    return reply.code(404).send({ code: 'ERR_NO_SUCH_ROUTE', message });
  });
  void app.register(swagger, {
    openapi: { info: { title: 'Copse admin API', description: 'Requests to a running copse daemon.', version: '1' } },
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
