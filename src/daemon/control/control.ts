/** Composes what operators may ask of the daemon, over the finished object graph. */
import type { Control } from '../../admin/control.js';
import type { StatusWarning } from '../../admin/schema-node.js';
import type { Logger } from '../../base/log.js';
import type { CacheSpace } from '../../cache/evict/cache-space.js';
import type { ExportNames } from '../../catalog/export-names.js';
import type { Config } from '../../config/schema.js';
import type { ContentPool } from '../../image/content-pool.js';
import type { PromotedFiles } from '../../image/promoted-files.js';
import type { ImageRegistry } from '../../image/registry.js';
import type { ManifestStore } from '../../manifest/store.js';
import type { Server } from '../../server/server.js';
import type { Cluster } from '../cluster/cluster.js';
import type { PeerServer } from '../cluster/peer-server.js';
import type { Disks } from '../disks.js';
import { DaemonCluster } from './cluster.js';
import { DiskCreator } from './disk-create.js';
import { DiskLookup } from './disk-lookup.js';
import { DiskPromoter } from './disk-promote.js';
import { DaemonDisks } from './disks.js';
import { DaemonImages } from './images.js';
import { LeasedContents } from './leased-content.js';
import { DaemonNode } from './node.js';

export interface ControlParts {
  config: Config;
  images: ImageRegistry;
  disks: Disks;
  names: ExportNames;
  files: PromotedFiles;
  pool: ContentPool;
  space: CacheSpace;
  manifestStore: ManifestStore;
  server: Server;
  /** Absent on a single host, as is `peerServer`. */
  cluster: Cluster | undefined;
  peerServer: PeerServer | undefined;
  /** Addresses of the admin API. */
  adminListeners(): string[];
  /** Present faults that an operator has to mend. */
  warnings(): StatusWarning[];
  log: Logger;
}

export function composeControl(parts: ControlParts): Control {
  const { config, images, disks, names, files, pool, space, manifestStore, server, cluster, peerServer, log } = parts;
  const selfId = config.node.id;
  const { index, origins } = disks;
  const contents = new LeasedContents(images, pool);
  const lookup = new DiskLookup(disks.registry, selfId);
  // With etcd the catalog knows the images of all nodes.
  const imageElsewhere = cluster === undefined || config.etcd !== undefined ? undefined : (name: string) => cluster.imageAt(name);
  const creator = new DiskCreator({ lookup, images, names, imageElsewhere, index, origins });
  const defaultChunkSizeBytes = config.imageDefault.chunkSizeBytes;
  const promoter = new DiskPromoter({ lookup, images, names, manifestStore, files, defaultChunkSizeBytes });
  const diskControl = new DaemonDisks({ lookup, creator, promoter, names, index, selfId, log });
  return {
    node: new DaemonNode({
      contents,
      disks,
      diskControl,
      pool,
      space,
      server,
      cluster,
      peerServer,
      stateDir: config.stateDir,
      adminListeners: () => parts.adminListeners(),
      fastPath: config.server.fastPath,
      warnings: () => parts.warnings(),
      log,
    }),
    images: new DaemonImages({ contents, cluster, manifestStore }),
    disks: diskControl,
    cluster: new DaemonCluster({ cluster, contents, pool, node: config.node }),
  };
}
