/**
 * Seals without a daemon: reads the bytes at a path or URL once, from beginning to end, and writes
 * their manifest to a file.
 *
 * The bytes are sealed as they lie there. Of a foreign format (qcow2, vmdk …) that is the
 * container, which nodes fetch and share; each node decodes it for itself.
 */
import { basename, resolve } from 'node:path';
import type { SealResult } from '../admin/schema-image.js';
import { CopseError, errorMessage } from '../base/error.js';
import { type Logger, silentLogger } from '../base/log.js';
import { KiB } from '../base/size.js';
import { writeDurably } from '../base/write-durably.js';
import { type SealOptions, type SealSource, seal } from '../manifest/seal.js';
import { openOrigin, pinOrigin } from '../origin/open.js';
import type { OriginCredential } from '../origin/origin.js';
import { patiently } from '../origin/patience.js';
import { httpUrl, originKind, originPath } from '../origin/url.js';

export const defaultSealChunkBytes = 256 * KiB;

export interface SealUrlOptions extends SealOptions {
  /**
   * Absolute path of the manifest. Default: beside a file; for a URL, in the working directory, by
   * the last part of its path.
   */
  outputPath?: string | undefined;
  /** Chunk size, a power of two from 64 KiB to 1 MiB; default 256 KiB. */
  chunkSizeBytes?: number | undefined;
  credentials?: readonly OriginCredential[] | undefined;
  log?: Logger | undefined;
}

/**
 * Seals the present bytes at the URL. A change meanwhile ends it.
 *
 * @param url absolute
 * @throws OriginError; `ERR_DEADLINE` if a read brings nothing for a minute; `ERR_ABORTED`;
 * ManifestError `ERR_MANIFEST`; CopseError `ERR_OUTPUT`; `ERR_OPTION` if an output path is needed
 */
export async function sealUrl(url: string, options: SealUrlOptions = {}): Promise<SealResult> {
  const { credentials, signal, log = silentLogger } = options;
  const outputPath = options.outputPath ?? defaultOutputPath(url);
  if (originKind(url) === 'file' && resolve(originPath(url)) === outputPath) {
    throw new CopseError('ERR_OPTION', `${outputPath} is the image itself: choose another --output`);
  }
  const identity = await pinOrigin(url, { credentials, log, signal });
  const origin = patiently(openOrigin(url, identity, { credentials, log }), log);
  try {
    return await sealToFile(origin, identity.sizeBytes, outputPath, options);
  } finally {
    await origin.close();
  }
}

/**
 * Seals the bytes of a source, and writes the manifest.
 *
 * @throws as `sealUrl`, and the source's own errors
 */
export async function sealToFile(source: SealSource, sizeBytes: number, outputPath: string, options: SealUrlOptions): Promise<SealResult> {
  const manifest = await seal(source, { sizeBytes, chunkBytes: options.chunkSizeBytes ?? defaultSealChunkBytes }, options);
  try {
    await writeDurably(outputPath, manifest.bytes, 0o644);
  } catch (error) {
    throw new CopseError('ERR_OUTPUT', `${outputPath} can't be written: ${errorMessage(error)}`, { cause: error });
  }
  return { doneBytes: sizeBytes, totalBytes: sizeBytes, manifestPath: outputPath, digest: manifest.digest };
}

function defaultOutputPath(url: string): string {
  const kind = originKind(url);
  if (kind === 'file') return `${originPath(url)}.manifest`;
  const name = kind === 'http' ? basename(httpUrl(url).pathname) : '';
  if (name === '') throw new CopseError('ERR_OPTION', 'the URL names no file for the manifest: give its path by --output PATH');
  return resolve(`${decoded(name)}.manifest`);
}

/** Returns a name for a file, never a path. */
function decoded(name: string): string {
  try {
    return basename(decodeURIComponent(name));
  } catch {
    return name;
  }
}
