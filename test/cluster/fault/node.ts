/**
 * Real daemons in one cluster, each a process with a state directory, a socket for guests and an address for peers of its own.
 *
 * On the loopback every test process has an address of its own (`ownHost`), so that ports are fixed over restarts and never taken. Where links are
 * to be cut, the nodes run in places of the lab instead.
 */
import type { Test } from 'tap';
import type { ClusterImageStatus, ClusterStatus, MemberStatus } from '../../../src/admin/schema-cluster.js';
import { Daemon, type DaemonOptions } from '../../fault/daemon.js';
import { ownHost } from '../../fault/own-host.js';
import type { LabPlace } from '../../lab/place.js';
import { shortDir } from '../../support/short-dir.js';
import { until } from '../../support/wait.js';
import { parseMetrics, type Sample, sumOf } from './metric.js';

const peerPort = 10809;
/** The image that tests are about. */
export const imageName = 'image';

export interface NodeOptions extends DaemonOptions {
  id: string;
  address: string;
  /** Of static membership; one's own is ignored. */
  peers?: readonly string[];
  etcd?: string;
}

function withFlags({ id, address, peers = [], etcd, ...options }: NodeOptions): DaemonOptions {
  const membership = etcd === undefined ? peers.flatMap((peer) => ['--peer', peer]) : ['--etcd', etcd];
  return { ...options, flags: ['--node', id, '--address', address, '--cluster', 'faults', ...membership, ...(options.flags ?? [])] };
}

export class ClusterNode extends Daemon {
  readonly id: string;
  readonly address: string;

  constructor(folder: string, options: NodeOptions) {
    super(folder, withFlags(options));
    this.id = options.id;
    this.address = options.address;
  }

  /** Not started; killed with the test at the latest. */
  static async prepare(t: Test, options: NodeOptions): Promise<ClusterNode> {
    const node = new ClusterNode(shortDir(t), options);
    t.teardown(() => node.kill());
    return node;
  }

  async cluster(): Promise<ClusterStatus> {
    return await this.#get<ClusterStatus>('/v1/cluster');
  }

  async member(id: string): Promise<MemberStatus | undefined> {
    return (await this.cluster()).members.find((member) => member.id === id);
  }

  async imageInCluster(): Promise<ClusterImageStatus> {
    return await this.#get<ClusterImageStatus>(`/v1/images/${imageName}/cluster`);
  }

  async metrics(): Promise<Sample[]> {
    return parseMetrics((await this.api('GET', '/metrics')).body);
  }

  /** Bytes of the image in this node's own cache. */
  async cachedBytes(): Promise<number> {
    const { cache } = (await this.imageStatus(imageName)) as { cache: { cachedBytes: number } };
    return cache.cachedBytes;
  }

  /** Lines of the log whose message matches. */
  logged(what: RegExp): string[] {
    return this.stderr.split('\n').filter((line) => what.test(line));
  }

  async #get<T>(path: string): Promise<T> {
    const { status, body } = await this.api('GET', path);
    if (status !== 200) throw new Error(`${this.id}: GET ${path}: ${status} ${body}`);
    return JSON.parse(body) as T;
  }
}

let portCount = 0;

/** HOST:PORT that nobody else has. */
export function loopbackAddress(): string {
  portCount += 1;
  return `${ownHost}:${peerPort + portCount}`;
}

export function placeAddress(place: LabPlace): string {
  return `${place.address}:${peerPort}`;
}

export interface FleetOptions extends Omit<DaemonOptions, 'place' | 'state'> {
  /** Where each node runs: at places of the lab, or so many on the loopback. */
  at: number | readonly LabPlace[];
  /** Further members by address: nodes that are to come, scripted peers. */
  others?: readonly string[];
  etcd?: string;
  /** State directories, by the index of the node. */
  states?: Record<number, string>;
}

/** Nodes n1, n2, … that all name each other; none is started. */
export async function prepareFleet(t: Test, { at, others = [], states = {}, etcd, ...rest }: FleetOptions): Promise<ClusterNode[]> {
  const { [imageName]: lines = [], ...imageLines } = rest.imageLines ?? {};
  // Else each node looks at the image's head and tail itself when it pins it, and a test that counts would have to know.
  const options = { ...rest, imageLines: { ...imageLines, [imageName]: ['format = "raw"', ...lines] } };
  const places = typeof at === 'number' ? Array.from({ length: at }, () => undefined) : at;
  const addresses = places.map((place) => (place === undefined ? loopbackAddress() : placeAddress(place)));
  return await Promise.all(
    places.map((place, index) => {
      const state = states[index];
      return ClusterNode.prepare(t, {
        ...options,
        id: `n${index + 1}`,
        address: addresses[index] ?? '',
        peers: [...addresses, ...others],
        ...(place === undefined ? {} : { place }),
        ...(state === undefined ? {} : { state }),
        ...(etcd === undefined ? {} : { etcd }),
      });
    }),
  );
}

/** Started, and each of them sees all others up and serving the image. */
export async function startFleet(t: Test, options: FleetOptions): Promise<ClusterNode[]> {
  const nodes = await prepareFleet(t, options);
  await Promise.all(nodes.map((node) => node.start()));
  await whole(nodes);
  return nodes;
}

/** Each of the nodes sees all of them up, and that they serve the image. */
export async function whole(nodes: readonly ClusterNode[]): Promise<void> {
  for (const node of nodes) {
    await until(`${node.id} sees all nodes`, async () => {
      const serving = new Set((await node.imageInCluster()).nodes.map(({ id }) => id));
      const { members } = await node.cluster();
      const up = new Set(members.filter(({ state }) => state === 'up' || state === 'self').map(({ id }) => id));
      return nodes.every(({ id }) => serving.has(id) && up.has(id));
    });
  }
}

/** Of all the nodes together. */
export async function total(nodes: readonly ClusterNode[], name: string, labels: Record<string, string> = {}): Promise<number> {
  const all = await Promise.all(nodes.map((node) => node.metrics()));
  return all.reduce((sum, samples) => sum + sumOf(samples, name, labels), 0);
}
