/**
 * The configuration of the cluster, from file and flags together: the checks that need both, and
 * the defaults.
 *
 * A node is in a cluster if it has an address, and the configuration has any key of a cluster or of
 * etcd. An address alone makes no cluster.
 */
import { formatSize } from '../base/size.js';
import { isSameHostPort, parseAddress } from './address.js';
import type { FileConfig } from './file-schema.js';
import { defaultNodeId, type Surroundings } from './place.js';
import { ConfigError, type ConfigSource, problemAt } from './problem.js';
import type { ConfigPart } from './read.js';
import { type ClusterConfig, type Config, defaults, type EtcdConfig } from './schema.js';
import { readEtcdPassword } from './secret.js';
import type { SizeOrShare } from './value.js';

export interface ClusterSources {
  file: ConfigPart;
  flags: ConfigPart;
  /** The file's values with the flags' values in place of them. */
  written: FileConfig;
  surroundings: Surroundings;
  cacheSizeBytes: number;
  bytesOf(value: SizeOrShare): number;
}

type Table = 'node' | 'cluster' | 'etcd';

/** @throws ConfigError with the first problem */
export async function readCluster(sources: ClusterSources): Promise<Pick<Config, 'node' | 'cluster' | 'etcd'>> {
  const { written, surroundings } = sources;
  const { id = defaultNodeId(surroundings), address, listen } = written.node ?? {};
  checkAddress(sources);
  return {
    node: { id, address, listen: listen ?? (address === undefined ? undefined : parseAddress(`tcp:${address}`)) },
    etcd: await etcdOf(sources),
    cluster: clusterOf(sources),
  };
}

/** Keys of the table that have a value, each with its source; flags first. */
function givenKeys({ file, flags }: ClusterSources, table: Table): { key: string; source: ConfigSource }[] {
  return [flags, file].flatMap(({ config, source }) =>
    Object.entries(config[table] ?? {}).flatMap(([key, value]) => (value === undefined ? [] : [{ key, source }])),
  );
}

function fail(sources: ClusterSources, table: Table, key: string, message: (source: ConfigSource) => string): never {
  const source = givenKeys(sources, table).find((given) => given.key === key)?.source ?? sources.file.source;
  throw new ConfigError([problemAt(source, [table, key], message(source))]);
}

function checkAddress(sources: ClusterSources): void {
  if (sources.written.node?.address !== undefined) return;
  const remedy = ({ toml }: ConfigSource): string =>
    `no other node can reach this one, because it has no address: add ${toml === undefined ? '--address HOST:PORT' : 'address = "HOST:PORT" to [node]'}`;
  if (sources.written.node?.listen !== undefined) fail(sources, 'node', 'listen', remedy);
  for (const table of ['cluster', 'etcd'] as const) {
    const [given] = givenKeys(sources, table);
    if (given !== undefined) fail(sources, table, given.key, remedy);
    const { source, config } = sources.file;
    if (config[table] !== undefined) throw new ConfigError([problemAt(source, [table], remedy(source))]);
  }
}

function clusterOf(sources: ClusterSources): ClusterConfig | undefined {
  const { written, cacheSizeBytes, bytesOf } = sources;
  const { node, cluster, etcd } = written;
  const address = node?.address;
  if (address === undefined || (cluster === undefined && etcd === undefined)) return undefined;
  const { name = defaults.cluster.name, members = [], donate } = cluster ?? {};
  if (members.length > 0 && etcd !== undefined) {
    fail(sources, 'cluster', 'members', () => 'etcd is given, too, and holds the list of members: keep one of the two');
  }
  if (name === 'auto' && etcd === undefined) {
    fail(sources, 'cluster', 'name', ({ toml }) => {
      const remedy = toml === undefined ? '--etcd URL' : 'url = ["http://HOST:PORT"] to [etcd]';
      return `"auto" needs etcd, which has the list of clusters: add ${remedy}, or choose a name`;
    });
  }
  const donatedBytes = donate === undefined ? cacheSizeBytes : bytesOf(donate);
  if (donatedBytes > cacheSizeBytes) {
    const [given, budget] = [formatSize(donatedBytes), formatSize(cacheSizeBytes)];
    fail(sources, 'cluster', 'donate', () => `${given} are more than the cache's budget of ${budget}: donate less, or raise cache.size`);
  }
  return {
    name: name === 'auto' ? undefined : name,
    autoRttUs: cluster?.auto_rtt_us ?? defaults.cluster.autoRttUs,
    maxMembers: cluster?.max_members ?? defaults.cluster.maxMembers,
    members: othersOf(address, members),
    donatedBytes,
    peers: cluster?.peers ?? defaults.cluster.peers,
  };
}

/** Each member once, without this node, so that all nodes can have the same list. */
function othersOf(address: string, members: readonly string[]): string[] {
  const others: string[] = [];
  for (const member of members) {
    if (![address, ...others].some((known) => isSameHostPort(known, member))) others.push(member);
  }
  return others;
}

async function etcdOf(sources: ClusterSources): Promise<EtcdConfig | undefined> {
  const { etcd } = sources.written;
  if (etcd === undefined) return undefined;
  const { url: urls, user, ca_file: caFile, prefix = defaults.etcd.prefix } = etcd;
  if (urls === undefined) {
    const { source } = sources.file;
    throw new ConfigError([problemAt(source, ['etcd'], 'url is missing: add url = ["http://HOST:PORT"], or give --etcd URL')]);
  }
  if (caFile !== undefined && urls.some((url) => url.startsWith('http:'))) {
    fail(
      sources,
      'etcd',
      'ca_file',
      () => 'it applies to https://, but the URLs of etcd begin with http://: change them, or leave this out',
    );
  }
  const password = await readEtcdPassword(sources.file);
  return { urls, user, password, caFile, prefix };
}
