/**
 * Runs qemu-img, to inspect image files and to copy between files and exports.
 *
 * Invariants:
 * - Each format is given to qemu-img. It is detected once at most.
 * - Paths are absolute, so that qemu-img takes none for a URL.
 * - The program has ended when a call settles.
 */

import { AbortedError, CopseError } from '../base/error.js';
import type { JobOptions } from '../base/job.js';

/** Time from SIGTERM to SIGKILL, in ms. */
const killDelayMs = 2000;
const keptErrorChars = 4096;
/** Longest description of an image, in characters. Real ones are far shorter. */
const maxInfoChars = 16 * 1024 * 1024;

export interface ImageFile {
  /** A format of qemu-img. */
  format: string;
  /** Size of the disk inside, in bytes. */
  sizeBytes: number;
  /** The first further file of the image, which a copy reads, too. */
  other?: { kind: 'backing file' | 'data file' | 'extent'; name: string } | undefined;
}

interface Info {
  format: string;
  'virtual-size': number;
  'backing-filename'?: string;
  'format-specific'?: { data?: { 'data-file'?: string; extents?: { filename?: string }[] } };
}

/**
 * @param path absolute
 * @param format absent: detected by content
 * @throws CopseError `ERR_QEMU_IMG`, `ERR_PROGRAM_MISSING`, `ERR_ABORTED`
 */
export async function inspectImageFile(path: string, format: string | undefined, signal: AbortSignal): Promise<ImageFile> {
  const formatArgs = format === undefined ? [] : ['-f', format];
  let text = '';
  await qemuImg(['info', '--output=json', ...formatArgs, path], path, signal, (piece) => {
    if (text.length < maxInfoChars) text += piece;
  });
  const info = JSON.parse(text) as Info;
  return { format: info.format, sizeBytes: info['virtual-size'], other: otherFileOf(info, path) };
}

function otherFileOf(info: Info, path: string): ImageFile['other'] {
  const { data = {} } = info['format-specific'] ?? {};
  const backing = info['backing-filename'];
  if (backing !== undefined) return { kind: 'backing file', name: backing };
  const dataFile = data['data-file'];
  if (dataFile !== undefined) return { kind: 'data file', name: dataFile };
  const extent = data.extents?.find(({ filename }) => filename !== undefined && filename !== path)?.filename;
  return extent === undefined ? undefined : { kind: 'extent', name: extent };
}

export interface Copy {
  /** Name of the copy in errors, as in `export of vm1`. */
  what: string;
  /** Absolute path, or NBD URI. */
  from: string;
  fromFormat: string;
  to: string;
  toFormat: string;
  /** Bytes at which the progress is complete. */
  totalBytes: number;
  /** True if the target exists, is large enough and all zeros. Then zeros are not written. */
  intoZeros: boolean;
}

/**
 * Copies without a sync. The caller makes the target durable.
 *
 * @throws CopseError `ERR_QEMU_IMG`, `ENOSPC`, `ERR_PROGRAM_MISSING`, `ERR_ABORTED`
 */
export async function copyImage(copy: Copy, { signal, onProgress }: JobOptions): Promise<void> {
  const { what, from, fromFormat, to, toFormat, totalBytes, intoZeros } = copy;
  const target = intoZeros ? ['-n', ...(await targetIsZero(signal))] : [];
  let rest = '';
  // 16 requests at once, because a request may wait for a fetch.
  await qemuImg(['convert', '-p', '-m', '16', ...target, '-f', fromFormat, '-O', toFormat, from, to], what, signal, (piece) => {
    rest = (rest + piece).slice(-64);
    const percent = [...rest.matchAll(/\((\d+\.\d+)\/100%\)/g)].at(-1)?.[1];
    if (percent !== undefined) onProgress({ doneBytes: Math.floor((totalBytes * Number(percent)) / 100), totalBytes });
  });
}

/** An option since QEMU 5.1. Without it qemu-img writes zeros, which a disk keeps in its map. */
async function targetIsZero(signal: AbortSignal): Promise<string[]> {
  let help = '';
  await qemuImg(['--help'], 'qemu-img --help', signal, (piece) => {
    help += piece;
  });
  return help.includes('--target-is-zero') ? ['--target-is-zero'] : [];
}

async function qemuImg(args: string[], what: string, signal: AbortSignal, onOutput: (text: string) => void): Promise<void> {
  // execa is a hundred files, which most commands do not need.
  const { execa } = await import('execa');
  const child = execa('qemu-img', args, {
    env: { LC_ALL: 'C' },
    stdin: 'ignore',
    buffer: false,
    reject: false,
    cancelSignal: signal,
    forceKillAfterDelay: killDelayMs,
  });
  let errorText = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errorText = (errorText + text).slice(-keptErrorChars);
  });
  child.stdout.setEncoding('utf8').on('data', onOutput);
  const result = await child;
  if (signal.aborted) throw new AbortedError(what, { cause: signal.reason });
  if (result.exitCode === 0) return;
  if (result.code === 'ENOENT') {
    throw new CopseError(
      'ERR_PROGRAM_MISSING',
      `${what}: the program qemu-img is missing: install qemu-utils (apt-get install qemu-utils)`,
    );
  }
  const reason =
    errorText
      .replaceAll(/^qemu-img: /gm, '')
      .trim()
      .replaceAll(/\s*\n\s*/g, '; ') || result.shortMessage;
  const code = /No space left on device/.test(errorText) ? 'ENOSPC' : 'ERR_QEMU_IMG';
  throw new CopseError(code, `${what}: qemu-img: ${reason}`);
}
