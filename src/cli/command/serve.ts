/** `copse serve` */
import type { Command } from 'commander';
import type { FileInput } from '../../config/file-schema.js';
import { parsePair } from '../../config/value.js';
import { collect } from '../option.js';

interface Options {
  config?: string;
  state?: string;
  listen?: string[];
  image?: string[];
  admin?: string;
  cacheSize?: string;
  minFree?: string;
  logLevel?: string;
}

const examples = `
Flags win over the configuration file (docs/configuration.md). When it serves, it prints one line that
begins with "copse: ready" on standard output; logs go to standard error.

Examples:
  copse serve --image debian-12=https://images.example/debian-12.raw
  copse serve --config /etc/copse/copse.toml
  copse serve --state /srv/copse --listen unix:/run/copse/nbd.sock --listen tcp:127.0.0.1:10809 --cache-size 200G`;

export function addServeCommand(parent: Command): void {
  parent
    .command('serve')
    .description('run the daemon')
    .option('--config <file>', 'TOML configuration')
    .option('--state <dir>', 'state directory: catalog, cache, lock')
    .option('--listen <address>', 'where NBD clients attach: unix:PATH or tcp:HOST:PORT (repeatable)', collect)
    .option('--image <name=url>', 'image to serve (repeatable)', collect)
    .option('--admin <address>', 'where the admin API listens: unix:PATH or tcp:HOST:PORT')
    .option('--cache-size <size>', 'budget of the cache, as in 100G or 50%')
    .option('--min-free <size>', 'free space that the cache never goes below, as in 10G or 5%')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent')
    .addHelpText('after', examples)
    .action(async (options: Options) => {
      const flags = flagsOf(options);
      const { loadConfig } = await import('../../config/load.js');
      const config = await loadConfig({ file: options.config, flags });
      const { runDaemon } = await import('../../daemon/run.js');
      process.exit(await runDaemon(config));
    });
}

function flagsOf(options: Options): FileInput {
  const { state, listen, admin, logLevel, cacheSize, minFree } = options;
  const image = options.image?.map((pair) => {
    const [name, url] = parsePair(pair, '--image NAME=URL');
    return { name, url };
  });
  return {
    ...(state === undefined ? {} : { state }),
    ...(listen === undefined ? {} : { listen }),
    ...(admin === undefined ? {} : { admin }),
    // The schema tells which levels there are.
    ...(logLevel === undefined ? {} : { log_level: logLevel as NonNullable<FileInput['log_level']> }),
    ...(image === undefined ? {} : { image }),
    cache: { ...(cacheSize === undefined ? {} : { size: cacheSize }), ...(minFree === undefined ? {} : { min_free: minFree }) },
  };
}
