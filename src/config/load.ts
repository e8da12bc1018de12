/**
 * Makes a complete `Config` of the operator's file and flags. A flag replaces the file's value, and
 * that the default.
 *
 * Images of flags are added to the file's images. An image of the same name replaces the file's.
 * Credentials come from the file alone, so that no process list shows a secret.
 */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readAccess } from './access.js';
import { readCluster } from './cluster.js';
import type { FileConfig, FileInput } from './file-schema.js';
import { checkedDefault, currentSurroundings, defaultListen, defaultStateDir, type Surroundings } from './place.js';
import { type ConfigPart, readConfigFile, readConfigFlags } from './read.js';
import { type Config, type ConfiguredImage, defaults } from './schema.js';
import { readCredentials } from './secret.js';
import type { SizeOrShare } from './value.js';

export interface LoadConfigOptions extends Partial<Surroundings> {
  /** A TOML file. */
  file?: string | undefined;
  /** Values of the command line, by the names of the file's keys. They replace the file's. */
  flags?: FileInput | undefined;
}

/** @throws ConfigError (`ERR_CONFIG`) with all problems of one source */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<Config> {
  const surroundings = { ...currentSurroundings(), ...options };
  const file: ConfigPart = options.file === undefined ? { source: { name: 'defaults' }, config: {} } : await readConfigFile(options.file);
  const flags = readConfigFlags(options.flags ?? {});
  const written = layer(file.config, flags.config);
  const stateDir = written.state ?? defaultStateDir(surroundings);
  const disk = await diskSize(stateDir);
  const bytesOf = (value: SizeOrShare): number => ('bytes' in value ? value.bytes : Math.floor(disk * value.share));
  const cacheSizeBytes = bytesOf(written.cache?.size ?? defaults.cache.size);
  return {
    stateDir,
    listen: written.listen ?? [checkedDefault('--listen', defaultListen(surroundings, stateDir))],
    listenGiven: written.listen !== undefined,
    socketMode: written.socket_mode ?? defaults.socketMode,
    socketGroup: written.socket_group,
    ...(await readAccess({ file, flags, written, stateDir })),
    logLevel: written.log_level ?? defaults.logLevel,
    server: { fastPath: written.server?.fast_path ?? defaults.server.fastPath },
    cache: {
      sizeBytes: cacheSizeBytes,
      minFreeBytes: bytesOf(written.cache?.min_free ?? defaults.cache.minFree),
    },
    imageDefault: {
      chunkSizeBytes: written.image_default?.chunk_size ?? defaults.imageDefault.chunkSizeBytes,
      deadlineMs: written.image_default?.deadline ?? defaults.imageDefault.deadlineMs,
      readaheadBytes: written.image_default?.readahead ?? defaults.imageDefault.readaheadBytes,
    },
    limit: {
      connectionCount: written.limit?.connections ?? defaults.limit.connectionCount,
      handshakeTimeoutMs: written.limit?.handshake_timeout ?? defaults.limit.handshakeTimeoutMs,
      requestsPerConnection: written.limit?.requests_per_connection ?? defaults.limit.requestsPerConnection,
      bytesPerConnection: written.limit?.bytes_per_connection ?? defaults.limit.bytesPerConnection,
      requestMemoryBytes: written.limit?.request_memory ?? defaults.limit.requestMemoryBytes,
    },
    ...(await readCluster({ file, flags, written, surroundings, cacheSizeBytes, bytesOf })),
    disk: { allowOrigins: written.disk?.allow_origins ?? [] },
    images: (written.image ?? []).map(configuredImage),
    credentials: await readCredentials(file),
  };
}

function layer(file: FileConfig, flags: FileConfig): FileConfig {
  const replaced = new Set(flags.image?.map((image) => image.name));
  return {
    ...file,
    ...given(flags),
    server: { ...file.server, ...given(flags.server ?? {}) },
    cache: { ...file.cache, ...given(flags.cache ?? {}) },
    disk: layerTable(file.disk, flags.disk),
    node: layerTable(file.node, flags.node),
    cluster: layerTable(file.cluster, flags.cluster),
    etcd: layerTable(file.etcd, flags.etcd),
    image: [...(file.image ?? []).filter((image) => !replaced.has(image.name)), ...(flags.image ?? [])],
  };
}

/** `undefined` if neither source has the table. */
function layerTable<T extends object>(file: T | undefined, flags: T | undefined): T | undefined {
  return flags === undefined ? file : ({ ...file, ...given(flags) } as T);
}

/** The values without keys that are `undefined`, which would hide values of the file. */
function given<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}

function configuredImage(image: NonNullable<FileConfig['image']>[number]): ConfiguredImage {
  const { name, url, format, chunk_size: chunkSizeBytes, deadline: deadlineMs, backing, manifest, digest, share } = image;
  return { name, url, format, chunkSizeBytes, deadlineMs, backing, manifest, digest, share };
}

/** Size, in bytes, of the file system that holds the directory, or will hold it. */
async function diskSize(dir: string): Promise<number> {
  for (let at = dir; ; at = dirname(at)) {
    try {
      const { blocks, bsize } = await statfs(at);
      return blocks * bsize;
    } catch (error) {
      if (at === dirname(at)) throw error;
    }
  }
}
