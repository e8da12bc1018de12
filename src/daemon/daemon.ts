/** From a configuration to a node that serves: the one place that knows every room. */
import { AdminServer } from '../admin/server.js';
import { Budget } from '../base/budget.js';
import { systemClock } from '../base/clock.js';
import { errorMessage } from '../base/error.js';
import { Lifecycle } from '../base/lifecycle.js';
import type { Logger } from '../base/log.js';
import { MiB } from '../base/size.js';
import { CacheSpace } from '../cache/cache-space.js';
import { ImageCatalog } from '../catalog/image-catalog.js';
import { contentId, contentsUnder } from '../catalog/image-record.js';
import { StateDirectory } from '../catalog/state-directory.js';
import type { SocketAddress } from '../config/address.js';
import type { Config } from '../config/schema.js';
import { Server } from '../server/server.js';
import { ConfiguredImages } from './configured-images.js';
import { ContentPool } from './content-pool.js';
import { groupIdOf } from './group.js';
import { ImagePinner } from './image-pinner.js';
import { ImageRegistry } from './image-registry.js';
import { NodeControl } from './node-control.js';
import { passedDescriptors } from './systemd.js';

/** Chunks on their way from origins, over all images. */
const fetchMemoryBytes = 128 * MiB;
/** How long requests under way may take when the node stops. */
const drainMs = 5000;

export interface RunningDaemon {
  /** NBD URIs without export names. */
  readonly uris: string[];
  readonly adminAddress: SocketAddress;
  /** Drains, closes, syncs the cache. */
  stop(): Promise<void>;
}

/**
 * @throws CopseError `ERR_STATE…`, `ERR_LISTEN`, `ERR_CONFIG`; the first configured image's error when there would be nothing at all to serve
 */
export async function startDaemon(config: Config, log: Logger): Promise<RunningDaemon> {
  const lifecycle = new Lifecycle();
  try {
    return await start(config, log, lifecycle);
  } catch (error) {
    await lifecycle.close().catch((reason: unknown) => log.error({ reason: errorMessage(reason) }, 'closing after a failed start'));
    throw error;
  }
}

async function start(config: Config, log: Logger, lifecycle: Lifecycle): Promise<RunningDaemon> {
  const state = lifecycle.own(new StateDirectory(config.stateDir));
  const catalog = new ImageCatalog(state.catalogDir, log);
  const space = lifecycle.own(
    new CacheSpace({
      path: state.cacheDir,
      budgetBytes: config.cache.sizeBytes,
      minFreeBytes: config.cache.minFreeBytes,
      clock: systemClock,
      log,
    }),
  );
  const { credentials, imageDefault } = config;
  const { runDir, cacheDir } = state;
  const memory = { raw: new Budget(fetchMemoryBytes), decoded: new Budget(fetchMemoryBytes) };
  const pool = lifecycle.own(
    new ContentPool({ cacheDir, runDir, space, memory, readaheadBytes: imageDefault.readaheadBytes, credentials, log }),
  );
  const pinner = new ImagePinner({ catalog, pool, runDir, credentials, defaultChunkSizeBytes: imageDefault.chunkSizeBytes, log });
  const registry = new ImageRegistry({ catalog, pool, pinner, defaultDeadlineMs: imageDefault.deadlineMs, log });
  await registry.start();
  pool.adoptOrphans(new Set(catalog.list().flatMap((record) => contentsUnder(record.content).map(contentId))));
  const adding = lifecycle.own(new ConfiguredImages(config.images, registry, log));
  await adding.start();

  const server = new Server({ directory: registry, limits: config.limit, log });
  lifecycle.own({ close: () => server.stop(drainMs) });
  await listenAll(server, config);
  const control = new NodeControl({ registry, pool, space, server, stateDir: config.stateDir });
  const admin = lifecycle.own(new AdminServer(control, { log, allowRemote: config.adminAllowRemote }));
  const adminAddress = await admin.listen(config.admin);
  return { uris: server.uris, adminAddress, stop: () => lifecycle.close() };
}

/** Sockets that systemd passes take the place of addresses that nobody chose. */
async function listenAll(server: Server, config: Config): Promise<void> {
  const passed = passedDescriptors();
  for (const descriptor of passed) await server.listen({ kind: 'descriptor', descriptor });
  if (passed.length > 0 && !config.listenGiven) return;
  const groupId = config.socketGroup === undefined ? undefined : groupIdOf(config.socketGroup);
  for (const address of config.listen) {
    await server.listen(address.kind === 'unix' ? { ...address, mode: config.socketMode, groupId } : address);
  }
}
