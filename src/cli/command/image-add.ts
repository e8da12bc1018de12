/** `copse image add` */
import type { Command } from 'commander';
import { checkDigest } from '../../base/digest-text.js';
import { CopseError } from '../../base/error.js';
import { checkExportName, checkKnownName } from '../../base/export-name.js';
import { absoluteUrl, checkOriginUrl } from '../../config/url.js';
import { checkShare, missingOfManifest, parseChunkSize, parseDuration, parsePair } from '../../config/value.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { describeImage } from '../describe.js';
import { collect } from '../option.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions {
  format?: string;
  chunkSize?: string;
  deadline?: string;
  backing?: string[];
  manifest?: string;
  digest?: string;
  share?: string;
  deep?: boolean;
}

const examples = `
Examples:
  copse image add debian-12 https://images.example/debian-12.raw
  copse image add debian-12 ./debian-12.qcow2 --deadline 2m
  copse image add app nbd://store/app --chunk-size 64K
  copse image add web web.qcow2 --backing base.qcow2=debian-12
  copse image add debian-13 https://images.example/d.raw --manifest https://images.example/d.manifest --digest blake3:…`;

export function addImageAddCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('add')
      .description("pin an origin's present content and serve it under a name")
      .argument('<name>', 'name of the export')
      .argument('<url>', 'https://, http://, nbd://, nbd+unix://, file: or a path')
      .option('--format <format>', 'raw, or a format of qemu-nbd (default: detected by content)')
      .option('--chunk-size <size>', 'unit of fetching and caching, 64K to 1M')
      .option('--deadline <duration>', "deadline of a guest's request, as in 30s; 0 means none")
      .option('--backing <file=image>', 'permitted backing file, and the image that stands for it (repeatable)', collect)
      .option('--manifest <url>', 'manifest that each chunk is verified against: a URL or a path; with --digest')
      .option('--digest <digest>', 'digest of the manifest, as "copse image seal" prints it')
      .option('--share <how>', 'sharing in a cluster: auto (if the identity is strong), trust (always) or never')
      .option('--deep', 'read all tables of a foreign format, however large, to check that the file is whole')
      .addHelpText('after', examples),
  ).action(async (name: string, url: string, options: Options) => {
    const request = {
      name: checkExportName(name),
      url: originUrl(url),
      format: options.format,
      chunkSizeBytes: options.chunkSize === undefined ? undefined : parseChunkSize(options.chunkSize),
      deadlineMs: options.deadline === undefined ? undefined : parseDuration(options.deadline),
      backing: options.backing && Object.fromEntries(options.backing.map(backingPair)),
      ...sealOf(options),
      share: options.share === undefined ? undefined : checkShare(options.share),
      deep: options.deep,
    };
    const { image, listeners } = await withDaemon(options, async (control) => {
      const added = await control.images.add(request);
      return { image: added, listeners: options.json ? [] : (await control.node.status()).listeners };
    });
    if (options.json) printJson(image);
    else printText(describeImage(image, listeners));
  });
}

/** @throws CopseError `ERR_OPTION`, `ERR_NAME` */
function backingPair(text: string): [file: string, image: string] {
  const [file, image] = parsePair(text, '--backing FILE=IMAGE');
  return [file, checkKnownName(image)];
}

/** @throws CopseError `ERR_URL` */
function originUrl(url: string): string {
  return checkOriginUrl(absoluteUrl(url, process.cwd()));
}

/** @throws CopseError `ERR_OPTION`, `ERR_URL`, `ERR_DIGEST` */
function sealOf({ manifest, digest }: Options): { manifest: string | undefined; digest: string | undefined } {
  const missing = missingOfManifest({ manifest, digest });
  if (missing !== undefined) {
    throw new CopseError(
      'ERR_OPTION',
      `--${missing} is missing: give --manifest URL and --digest blake3:… together, as "copse image seal" prints them`,
    );
  }
  return {
    manifest: manifest === undefined ? undefined : originUrl(manifest),
    digest: digest === undefined ? undefined : checkDigest(digest),
  };
}
