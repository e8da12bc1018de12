/**
 * `copse image seal`: this process seals a file or a URL, and the daemon seals an image by name.
 *
 * An argument with a scheme is a URL. An argument that begins with a slash or a dot, or that exists
 * in the file system, is a file. All else is the name of an image.
 */

import { existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { SealResult } from '../../admin/control.js';
import { displayUrl } from '../../base/display-url.js';
import { CopseError, errorMessage } from '../../base/error.js';
import type { JobOptions } from '../../base/job.js';
import { formatSize } from '../../base/size.js';
import { absoluteUrl } from '../../config/url.js';
import { parseChunkSize } from '../../config/value.js';
import { addDaemonOptions, type DaemonOptions, withDaemon } from '../daemon.js';
import { runJob } from '../job.js';
import { printJson, printText } from '../output.js';

interface Options extends DaemonOptions {
  output?: string;
  chunkSize?: string;
}

const notes = `
An image that was added with --manifest and --digest is checked chunk by chunk, for bytes from any source.
Put the manifest where all hosts can read it, and pass the digest on in a way that you trust.
For qcow2 and other formats the file itself is sealed.

Examples:
  copse image seal debian-12.raw
  copse image seal https://images.example/debian-12.raw --output debian-12.manifest
  copse image add debian-12 https://images.example/debian-12.raw \\
    --manifest https://images.example/debian-12.raw.manifest --digest blake3:…`;

export function addImageSealCommand(parent: Command): void {
  addDaemonOptions(
    parent
      .command('seal')
      .description("write an image's manifest, a digest of each chunk, and print the manifest's own digest")
      .argument('<image>', 'a file, a URL, or the name of an image that the daemon serves')
      .option('--output <path>', 'path of the manifest (default: FILE.manifest)')
      .option('--chunk-size <size>', 'bytes for each digest, 64K to 1M (default: 256K; an image by name has its own)')
      .addHelpText('after', notes),
  ).action(async (image: string, options: Options) => {
    const outcome = await runJob(`seal ${displayUrl(image)}`, { quiet: options.json === true }, (job) =>
      isName(image) ? sealByName(image, options, job) : sealHere(absoluteUrl(image, process.cwd()), options, job),
    );
    if ('exitCode' in outcome) {
      process.exitCode = outcome.exitCode;
      return;
    }
    const { digest, manifestPath, totalBytes } = outcome.result;
    if (options.json) printJson(outcome.result);
    else printText(`${manifestPath}: manifest of ${formatSize(totalBytes)}\n${digest}`);
  });
}

function isName(image: string): boolean {
  return !/^[./]/.test(image) && !/^[A-Za-z][A-Za-z0-9+.-]*:/.test(image) && !existsSync(image);
}

async function sealHere(url: string, options: Options, { signal, onProgress }: JobOptions): Promise<SealResult> {
  const { sealUrl } = await import('../../image/seal-url.js');
  const credentials =
    options.config === undefined ? [] : (await (await import('../../config/load.js')).loadConfig({ file: options.config })).credentials;
  return sealUrl(url, {
    credentials,
    outputPath: options.output === undefined ? undefined : resolve(options.output),
    chunkSizeBytes: options.chunkSize === undefined ? undefined : parseChunkSize(options.chunkSize),
    signal,
    onProgress: (doneBytes, totalBytes) => onProgress({ doneBytes, totalBytes }),
  });
}

async function sealByName(name: string, options: Options, job: JobOptions): Promise<SealResult> {
  if (options.chunkSize !== undefined) {
    throw new CopseError('ERR_OPTION', `"${name}" is sealed in its own chunks: omit --chunk-size, or seal its file or URL`);
  }
  const result = await withDaemon(options, (control) => control.images.seal(name, job));
  if (options.output === undefined) return result;
  const manifestPath = resolve(options.output);
  try {
    await copyFile(result.manifestPath, manifestPath);
  } catch (error) {
    const text = `the image is sealed as ${result.digest}, but ${result.manifestPath} on the daemon's host can't be copied to ${manifestPath}: ${errorMessage(error)}`;
    throw new CopseError('ERR_OUTPUT', text, { cause: error });
  }
  return { ...result, manifestPath };
}
