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
Flags win over the configuration file (docs/configuration.md). When it serves, it prints one line that
begins with "copse: ready" on standard output; logs go to standard error.

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
    .option('--listen <address>', 'where NBD clients attach: unix:PATH or tcp:HOST:PORT (repeatable)', collect)
    .option('--image <name=url>', 'image to serve (repeatable)', collect)
    .option('--allow-remote', 'let NBD clients, who are not authenticated, attach from other hosts')
    .option('--admin <address>', 'where the admin API listens: unix:PATH, or tcp:HOST:PORT beside the socket (repeatable)', collect)
    .option('--no-admin-socket', 'admin API on TCP alone')
    .option('--admin-token-file <file>', 'file with the token that requests to the admin API on TCP must carry')
    .option('--cache-size <size>', 'budget of the cache, as in 100G or 50%')
    .option('--min-free <size>', 'free space that the cache never goes below, as in 10G or 5%')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent')
    .option('--no-fast-path', 'answer everything in JavaScript, nothing natively')
    .option('--node <id>', "name of this node, unique among all nodes (default: the host's name)")
    .option('--address <host:port>', 'where the other nodes of the cluster reach this one')
    .option('--cluster <name>', 'cluster to be in, or "auto" to measure which is nearest, with --etcd (default: "default")')
    .option('--peer <host:port>', 'another node of the cluster, where there is no etcd (repeatable)', collect)
    .option('--etcd <url>', 'etcd that knows members and images: http://HOST:PORT or https://HOST:PORT (repeatable)', collect)
    .addHelpText('after', examples)
    .action(async (options: Options) => {
      const flags = flagsOf(options);
      const { loadConfig } = await import('../../config/load.js');
      const config = await loadConfig({ file: options.config, flags });
      const { runDaemon } = await import('../../daemon/run.js');
      // Guests' disks outlive whoever read the ready line.
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
    // The schema tells which levels there are.
    ...given({ log_level: logLevel as FileInput['log_level'] }),
    // What is not forbidden is for the file to say.
    ...(options.adminSocket ? {} : { admin_socket: false }),
    server: options.fastPath ? {} : { fast_path: false },
    cache: given({ size: cacheSize, min_free: minFree }),
    // A table that is there, though empty, says that there is a cluster.
    ...(id === undefined && address === undefined ? {} : { node: given({ id, address }) }),
    ...(name === undefined && members === undefined ? {} : { cluster: given({ name, members }) }),
    ...(url === undefined ? {} : { etcd: { url } }),
  };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the options that are not given. */
function given<T extends object>(values: T): Given<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Given<T>;
}
