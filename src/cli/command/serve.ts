/** `copse serve` */
import type { Command } from 'commander';
import type { FileInput } from '../../config/file-schema.js';
import { parsePair } from '../../config/value.js';
import { collect } from '../option.js';
import { whenReaderGoes } from '../output.js';

interface Options {
  config?: string;
  state?: string;
  listen?: string[];
  image?: string[];
  allowRemote?: boolean;
  admin?: string[];
  adminSocket: boolean;
  adminTokenFile?: string;
  cacheSize?: string;
  minFree?: string;
  logLevel?: string;
  fastPath: boolean;
  node?: string;
  address?: string;
  cluster?: string;
  peer?: string[];
  etcd?: string[];
}

const examples = `
Flags replace values of the configuration file (docs/reference/configuration.md). When the daemon is ready it prints one line
on standard output, which begins with "copse: ready". Logs go to standard error.

Examples:
  copse serve --image debian-12=https://images.example/debian-12.raw
  copse serve --config /etc/copse/copse.toml
  copse serve --state /srv/copse --listen unix:/run/copse/nbd.sock --listen tcp:127.0.0.1:10809 --cache-size 200G
  copse serve --address 10.0.0.1:10810 --peer 10.0.0.2:10810 --peer 10.0.0.3:10810
  copse serve --address 10.0.0.1:10810 --cluster auto --etcd http://10.0.0.9:2379`;

export function addServeCommand(parent: Command): void {
  parent
    .command('serve')
    .description('run the daemon')
    .option('--config <file>', 'TOML configuration')
    .option('--state <dir>', 'state directory: catalog, cache, lock')
    .option('--listen <address>', 'address for NBD clients: unix:PATH or tcp:HOST:PORT (repeatable)', collect)
    .option('--image <name=url>', 'image to serve (repeatable)', collect)
    .option('--allow-remote', 'permit NBD clients, which are not authenticated, from other hosts')
    .option('--admin <address>', 'address of the admin API: unix:PATH, or tcp:HOST:PORT beside the socket (repeatable)', collect)
    .option('--no-admin-socket', 'admin API only on TCP')
    .option('--admin-token-file <file>', 'file with the token that requests to the admin API on TCP must carry')
    .option('--cache-size <size>', 'budget of the cache, as in 100G or 50%')
    .option('--min-free <size>', 'free space that the cache leaves, as in 10G or 5%')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent')
    .option('--no-fast-path', 'answer all requests in JavaScript, none in native threads')
    .option('--node <id>', "name of this node, unique among all nodes (default: the host's name)")
    .option('--address <host:port>', 'address at which other nodes of the cluster reach this one')
    .option('--cluster <name>', 'name of the cluster, or "auto" to measure and choose the nearest, with --etcd (default: "default")')
    .option('--peer <host:port>', 'another node of the cluster, without etcd (repeatable)', collect)
    .option('--etcd <url>', 'etcd with the members and images: http://HOST:PORT or https://HOST:PORT (repeatable)', collect)
    .addHelpText('after', examples)
    .action(async (options: Options) => {
      const flags = flagsOf(options);
      const { loadConfig } = await import('../../config/load.js');
      const config = await loadConfig({ file: options.config, flags });
      const { runDaemon } = await import('../../daemon/run.js');
      // The daemon outlives the process that reads the ready line.
      whenReaderGoes(() => {});
      process.exit(await runDaemon(config));
    });
}

function flagsOf(options: Options): FileInput {
  const { state, listen, allowRemote, admin, adminTokenFile, logLevel, cacheSize, minFree } = options;
  const image = options.image?.map((pair) => {
    const [name, url] = parsePair(pair, '--image NAME=URL');
    return { name, url };
  });
  const { node: id, address, cluster: name, peer: members, etcd: url } = options;
  return {
    ...given({ state, listen, admin, image, allow_remote: allowRemote, admin_token_file: adminTokenFile }),
    // The schema checks the level.
    ...given({ log_level: logLevel as FileInput['log_level'] }),
    // Without the flag the file decides.
    ...(options.adminSocket ? {} : { admin_socket: false }),
    server: options.fastPath ? {} : { fast_path: false },
    cache: given({ size: cacheSize, min_free: minFree }),
    // An empty table would say that the node is in a cluster.
    ...(id === undefined && address === undefined ? {} : { node: given({ id, address }) }),
    ...(name === undefined && members === undefined ? {} : { cluster: given({ name, members }) }),
    ...(url === undefined ? {} : { etcd: { url } }),
  };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The given options alone. */
function given<T extends object>(values: T): Given<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Given<T>;
}
