/** One Copse daemon on a host of the lab, and what it says of its cluster. */
import { request } from 'node:http';
import { json, text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterImageStatus, ClusterStatus } from '../../../../src/admin/schema-cluster.js';
import { CopseError } from '../../../../src/base/error.js';
import { foreignErrorCode } from '../../../../src/base/error-code.js';
import type { LabPlace } from '../../../lab/place.js';
import { type RunningCopse, startCopse } from '../../server/copse.js';

/** Where nodes listen for each other. */
export const peerPort = 10809;
const wholeTimeoutMs = 60_000;

export interface CopseNode extends RunningCopse {
  readonly nodeId: string;
  readonly place: LabPlace;
  /** GET of its admin API. */
  ask<T>(path: string): Promise<T>;
  /** Its metrics in Prometheus' text format. */
  metrics(): Promise<string>;
}

export interface NodeOptions {
  place: LabPlace;
  nodeId: string;
  /** All places of the cluster; this one may be among them. None other: the node is in no cluster. */
  peers: readonly LabPlace[];
  /** Name to URL. */
  images: Readonly<Record<string, string>>;
}

const addressOf = ({ address }: LabPlace): string => `${address}:${peerPort}`;

export async function startNode(dir: string, { place, nodeId, peers, images }: NodeOptions): Promise<CopseNode> {
  const isAlone = peers.every((peer) => peer === place);
  const flags = [
    '--node',
    nodeId,
    '--address',
    addressOf(place),
    '--cluster',
    'storm',
    ...peers.flatMap((peer) => ['--peer', addressOf(peer)]),
  ];
  const server = await startCopse(dir, {
    images,
    flags: isAlone ? [] : flags,
    wrap: (command, args) => place.command(command, args),
  });
  const get = <T>(path: string, read: (body: NodeJS.ReadableStream) => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      request({ socketPath: server.adminSocketPath, path, agent: false }, (response) => {
        if (response.statusCode === 200) read(response).then(resolve, reject);
        else
          text(response).then(
            (body) => reject(new CopseError(foreignErrorCode('ERR_PROGRAM'), `${nodeId}: GET ${path}: ${response.statusCode} ${body}`)),
            reject,
          );
      })
        .on('error', reject)
        .end();
    });
  return {
    ...server,
    nodeId,
    place,
    ask: <T>(path: string) => get(path, (body) => json(body) as Promise<T>),
    metrics: () => get('/metrics', (body) => text(body)),
  };
}

/** Resolves once each of the nodes sees that `count` nodes (itself among them) are up and serve the image. */
export async function waitUntilWhole(nodes: readonly CopseNode[], image: string, count: number): Promise<void> {
  if (count < 2) return;
  const untilMs = performance.now() + wholeTimeoutMs;
  for (const node of nodes) {
    for (let trouble = await missing(node, image, count); trouble !== undefined; trouble = await missing(node, image, count)) {
      if (performance.now() > untilMs)
        throw new CopseError(foreignErrorCode('ERR_PROGRAM'), `the cluster does not come together: ${trouble}`);
      await sleep(100);
    }
  }
}

async function missing(node: CopseNode, image: string, count: number): Promise<string | undefined> {
  const cluster = await node.ask<ClusterStatus>('/v1/cluster');
  const up = cluster.members.filter(({ state }) => state === 'up' || state === 'self').length;
  if (up < count) return `${node.nodeId} sees ${up} of ${count} nodes up: ${JSON.stringify(cluster.members)}`;
  const status = await node.ask<ClusterImageStatus>(`/v1/images/${image}/cluster`);
  if (!status.shared) return `${node.nodeId} does not share the image: ${status.reason}`;
  return status.nodes.length < count ? `${node.nodeId} sees ${status.nodes.length} of ${count} nodes serve the image` : undefined;
}
