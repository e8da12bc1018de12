/**
 * Operations on a running daemon: the one interface between the admin API and the object
 * graph of the daemon.
 *
 * The client implements it over HTTP, the daemon over its object graph, so that a command can't
 * tell them apart. Types of requests and answers are inferred from the schemas. Errors are
 * CopseErrors, whose codes pass the API unchanged.
 */
import type { ClusterControl } from './control-cluster.js';
import type { DiskControl } from './control-disk.js';
import type { ImageControl } from './control-image.js';
import type { NodeControl } from './control-node.js';

export type * from './control-cluster.js';
export type * from './control-disk.js';
export type * from './control-image.js';
export type * from './control-node.js';
export type * from './schema-cluster.js';
export type * from './schema-disk.js';
export type * from './schema-image.js';
export type * from './schema-node.js';

export interface Control {
  readonly node: NodeControl;
  readonly images: ImageControl;
  readonly disks: DiskControl;
  readonly cluster: ClusterControl;
}
