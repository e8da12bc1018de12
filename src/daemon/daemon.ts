/**
 * Composes a node from its configuration. This file and those beside it are the only ones that know
 * every room.
 *
 * Invariant: each part is made after the parts that it uses, and closed before them.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { checkAdminAccess } from '../admin/access.js';
import type { StatusWarning } from '../admin/schema-node.js';
import { AdminServer } from '../admin/server.js';
import { Budget } from '../base/budget.js';
import { systemClock } from '../base/clock.js';
import { digestFromHex } from '../base/digest-text.js';
import { errorMessage } from '../base/error.js';
import { EtcdClient } from '../base/etcd/client.js';
import { groupIdOf } from '../base/group.js';
import { Lifecycle } from '../base/lifecycle.js';
import type { Logger } from '../base/log.js';
import { MiB } from '../base/size.js';
import { CacheSpace } from '../cache/evict/cache-space.js';
import type { Catalog } from '../catalog/catalog.js';
import { EtcdCatalog } from '../catalog/etcd-catalog.js';
import { ExportNames } from '../catalog/export-names.js';
import { ImageCatalog } from '../catalog/image-catalog.js';
import { contentId, contentsUnder } from '../catalog/image-record.js';
import { StateDirectory } from '../catalog/state-directory.js';
import { formatAddress, type SocketAddress } from '../config/address.js';
import type { Config } from '../config/schema.js';
import { ConfiguredImages } from '../image/configured-images.js';
import { ContentPool } from '../image/content-pool.js';
import { ManifestSource } from '../image/manifest-source.js';
import { ImagePinner } from '../image/pinner.js';
import { PromotedFiles } from '../image/promoted-files.js';
import { ImageRegistry } from '../image/registry.js';
import { ManifestStore } from '../manifest/store.js';
import { Server } from '../server/server.js';
import { joinCluster } from './cluster/join.js';
import { PeerServer } from './cluster/peer-server.js';
import { clientsHidden } from './control/clients-hidden.js';
import { composeControl } from './control/control.js';
import { nameWarnings } from './control/name-warning.js';
import { Disks } from './disks.js';
import { NodeExports } from './exports.js';
import { passedDescriptors } from './systemd.js';

/** Memory for chunks on their way from origins, over all images, in bytes. */
const fetchMemoryBytes = 128 * MiB;
/** Time that requests under way have when the node stops, in ms. */
const drainMs = 5000;

export interface RunningDaemon {
  /** NBD URIs without export names. */
  readonly uris: string[];
  readonly adminAddresses: SocketAddress[];
  /** Ends requests under way, closes all parts, and syncs the cache. */
  stop(): Promise<void>;
}

/**
 * @throws CopseError `ERR_STATE…`, `ERR_LISTEN`, `ERR_ADDRESS_REMOTE`, `ERR_ADMIN_TOKEN`,
 *   `ERR_CONFIG`; the error of the first configured image, if the node would serve nothing
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
  checkAdminAccess(config.admin, { token: config.adminToken, isRoot: process.geteuid?.() === 0 });
  const state = lifecycle.own(new StateDirectory(config.stateDir, log));
  const etcd = config.etcd === undefined ? undefined : lifecycle.own(new EtcdClient(config.etcd));
  const catalog = await openCatalog(new ImageCatalog(state.catalogDir, log), etcd, config, lifecycle, log);
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
  const manifestStore = new ManifestStore(state.manifestDir, log);
  const cluster = await joinCluster({ config, paths: state, etcd, usedBytes: () => space.usedBytes, log });
  const manifests = new ManifestSource({ store: manifestStore, fetchers: () => cluster?.manifestFetchers() ?? [], credentials, log });
  const pool = lifecycle.own(
    new ContentPool({
      cacheDir,
      runDir,
      space,
      memory,
      readaheadBytes: imageDefault.readaheadBytes,
      manifestOf: async (spec) => (spec.manifest === undefined ? undefined : manifests.ensure(spec.manifest)),
      clusterOf: (spec, share) => cluster?.clusterOf(spec, share),
      credentials,
      log,
    }),
  );
  // Closed before the contents that it serves.
  if (cluster !== undefined) lifecycle.own(cluster);
  const pinner = new ImagePinner({
    catalog,
    pool,
    runDir,
    credentials,
    defaultChunkSizeBytes: imageDefault.chunkSizeBytes,
    manifests,
    settle: cluster === undefined ? undefined : () => cluster.liveCluster.refresh(),
    digestFiles: cluster !== undefined,
    log,
  });
  const names = new ExportNames();
  const disks = new Disks({
    state,
    pool,
    catalog,
    allowOrigins: config.disk.allowOrigins,
    cluster,
    etcd: etcd === undefined || config.etcd === undefined ? undefined : { client: etcd, prefix: config.etcd.prefix },
    selfId: config.node.id,
    defaultDeadlineMs: imageDefault.deadlineMs,
    // The cache can make room only on its own file system.
    room: statSync(cacheDir).dev === statSync(state.diskDir).dev ? (lengthBytes) => space.yieldRoom(lengthBytes) : undefined,
    lifecycle,
    log,
  });
  const files = new PromotedFiles({
    dir: join(state.path, 'image'),
    store: manifestStore,
    images: () => catalog.list().map(({ content }) => content),
    others: () => [
      ...disks.all.flatMap(({ record: { image } }) => (image === undefined ? [] : [image.content])),
      ...pool.contents.map(({ spec }) => spec),
    ],
    log,
  });
  const registry = new ImageRegistry({
    names,
    files,
    isDisk: async (name) => (await disks.registry.search(name)) !== undefined,
    catalog,
    pool,
    pinner,
    defaultDeadlineMs: imageDefault.deadlineMs,
    recordFromPeers: cluster === undefined ? undefined : (request, recordOf) => cluster.findRecord(request, recordOf),
    attachedAt:
      etcd === undefined
        ? undefined
        : // If a disk and an image have one name, clients get the disk.
          (name) => (disks.registry.find(name) === undefined ? (cluster?.attachedAt(name) ?? []) : []),
    disksOver: (name, images) => disks.usersOf(name, images),
    log,
  });
  await registry.start();
  await disks.registry.start();
  const imageContents = catalog.list().flatMap((record) => contentsUnder(record.content).map(contentId));
  pool.adoptOrphans(new Set([...imageContents, ...disks.contentIds]));
  const peerServer =
    cluster === undefined
      ? undefined
      : new PeerServer({
          cluster,
          pool,
          diskService: disks.service,
          record: (name) => registry.find(name)?.record,
          manifest: async (digest) => (await manifestStore.get(digestFromHex(digest)))?.bytes,
          limits: config.limit,
          guestDeadlineMs: imageDefault.deadlineMs,
          log,
        });
  if (cluster !== undefined && peerServer !== undefined) {
    const attached = (): string[] => [...attachedImages(registry), ...disks.attached()].sort();
    await cluster.start(peerServer, { attached, disks: () => disks.statements() });
  }
  await disks.follow();
  const adding = lifecycle.own(new ConfiguredImages(config.images, registry, log));
  await adding.start(() => registry.images.length > 0 || disks.all.length > 0);
  await files.sweep();
  const hidden = clientsHidden();
  const warnings = (): StatusWarning[] => [
    ...(hidden === undefined ? [] : [hidden]),
    ...nameWarnings(
      registry.images.map((image) => image.record.name),
      disks.all,
    ),
  ];
  for (const { code, message } of warnings()) log.warn({ code }, message);

  const { fastPath } = config.server;
  const server = new Server({ directory: new NodeExports(registry, disks.registry), limits: config.limit, fastPath, log });
  lifecycle.own({
    close: () => {
      disks.registry.options.notes.stopping();
      return server.stop(drainMs);
    },
  });
  await listenAll(server, config);
  const { adminAllowRemote: allowRemote, adminToken: token, adminNames } = config;
  const admin = lifecycle.own(new AdminServer({ log, allowRemote, token, names: adminNames }));
  const adminListeners = (): string[] => admin.addresses.map(formatAddress);
  const parts = { config, images: registry, disks, names, files, pool, space, manifestStore, server, cluster, peerServer };
  admin.serve(composeControl({ ...parts, adminListeners, warnings, log }));
  for (const address of config.admin) await admin.listen(address);
  return { uris: server.uris, adminAddresses: admin.addresses, stop: () => lifecycle.close() };
}

function attachedImages(registry: ImageRegistry): string[] {
  return registry.images.flatMap(({ record, metrics }) => (metrics.connections > 0 ? [record.name] : []));
}

/** Opens the catalog. With etcd, the local files mirror the catalog that all nodes share. */
async function openCatalog(
  local: ImageCatalog,
  client: EtcdClient | undefined,
  { etcd }: Config,
  lifecycle: Lifecycle,
  log: Logger,
): Promise<Catalog> {
  if (client === undefined || etcd === undefined) return local;
  const shared = lifecycle.own(new EtcdCatalog({ client, prefix: etcd.prefix, local, log }));
  await shared.start();
  return shared;
}

/** Listens for clients. Sockets that systemd passes replace the default address. */
async function listenAll(server: Server, config: Config): Promise<void> {
  const passed = passedDescriptors();
  for (const descriptor of passed) await server.listen({ kind: 'descriptor', descriptor, allowRemote: config.allowRemote });
  if (passed.length > 0 && !config.listenGiven) return;
  const groupId = config.socketGroup === undefined ? undefined : groupIdOf(config.socketGroup);
  for (const address of config.listen) {
    await server.listen(address.kind === 'unix' ? { ...address, mode: config.socketMode, groupId } : address);
  }
}
