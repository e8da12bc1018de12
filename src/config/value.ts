/** Values as operators write them, in the configuration and on the command line. */
import { checkChunkSize } from '../base/chunk-size.js';
import { displayUrl } from '../base/display-url.js';
import { CopseError } from '../base/error.js';
import { checkClusterName } from '../base/node-name.js';
import { parseSize } from '../base/size.js';
import { maxDurationMs, type SharePolicy, sharePolicies } from './schema.js';

const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Reads `500ms`, `30s`, `1.5m`, `2h` and `0`.
 *
 * @returns milliseconds, rounded, 0 to `maxDurationMs` (24 days)
 * @throws CopseError `ERR_DURATION` on anything else, also on a number without a unit
 */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)$/.exec(text.trim());
  const durationMs = match ? Math.round(Number(match[1]) * (unitMs[match[2] ?? ''] ?? Number.NaN)) : text.trim() === '0' ? 0 : Number.NaN;
  if (!(durationMs <= maxDurationMs)) {
    throw new CopseError('ERR_DURATION', `"${text}" is not a duration: write a number with ms, s, m or h, up to 596h, as in 30s`);
  }
  return durationMs;
}

/** A size in bytes, or a share (above 0, at most 1) of the file system's size. */
export type SizeOrShare = { bytes: number } | { share: number };

/** @throws CopseError `ERR_SIZE` on anything but a size and a percentage from above 0% to 100% */
export function parseSizeOrShare(text: string): SizeOrShare {
  const match = /^(\d+(?:\.\d+)?)\s*%$/.exec(text.trim());
  if (!match) return { bytes: parseSize(text) };
  const share = Number(match[1]) / 100;
  if (!(share > 0 && share <= 1))
    throw new CopseError('ERR_SIZE', `"${text}" is not a share of the disk: write a percentage from above 0% to 100%`);
  return { share };
}

/**
 * Reads a size as it is written, and checks that chunks can have it. @throws CopseError `ERR_SIZE`
 */
export function parseChunkSize(text: string): number {
  return checkChunkSize(parseSize(text), { code: 'ERR_SIZE', written: text });
}

/** @throws CopseError `ERR_MODE` unless it is written in octal, as chmod(1) takes it */
export function parseMode(text: string): number {
  if (!/^0?[0-7]{3}$/.test(text)) throw new CopseError('ERR_MODE', `"${text}" is not a mode: write three octal digits, as in "0660"`);
  return Number.parseInt(text, 8);
}

/** @throws CopseError `ERR_OPTION` unless it is one of `sharePolicies` */
export function checkShare(text: string): SharePolicy {
  const policy = sharePolicies.find((known) => known === text);
  if (policy === undefined)
    throw new CopseError('ERR_OPTION', `"${text}" is not a rule for sharing: write one of ${sharePolicies.join(', ')}`);
  return policy;
}

/**
 * @returns the URL without a slash at its end. @throws CopseError `ERR_URL` unless it is
 *   `http://HOST:PORT` or `https://HOST:PORT`
 */
export function checkEtcdUrl(text: string): string {
  const match = /^(https?:\/\/(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s/@?#]+):(\d{1,5}))\/?$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] !== undefined && port >= 1 && port <= 65535) return match[1];
  const shown = displayUrl(text);
  const remedy = shown === text ? '' : '; write user and password in keys of their own, in [etcd]';
  throw new CopseError('ERR_URL', `"${shown}" is not an endpoint of etcd: write http://HOST:PORT or https://HOST:PORT${remedy}`);
}

/**
 * @throws CopseError `ERR_OPTION` unless it is one name or more, each after a slash
 */
export function checkEtcdPrefix(text: string): string {
  if (!/^(?:\/[A-Za-z0-9._-]+)+$/.test(text) || text.length > 200) {
    throw new CopseError('ERR_OPTION', `"${text}" is not a prefix for keys: begin with a slash and end without one, as in "/copse"`);
  }
  return text;
}

/** A cluster's name, or `auto`. @throws CopseError `ERR_NAME` */
export function checkClusterChoice(text: string): string {
  return text === 'auto' ? text : checkClusterName(text);
}

/**
 * Checks that a manifest's URL and digest are given together. @returns the missing one, or
 * `undefined`
 */
export function missingOfManifest(image: {
  manifest?: string | undefined;
  digest?: string | undefined;
}): 'manifest' | 'digest' | undefined {
  if (image.manifest !== undefined && image.digest === undefined) return 'digest';
  return image.manifest === undefined && image.digest !== undefined ? 'manifest' : undefined;
}

/**
 * Splits `NAME=VALUE` at the first `=`, as `--image` and `--backing` take it.
 *
 * @throws CopseError `ERR_OPTION` without `=`, name or value
 */
export function parsePair(text: string, form: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) throw new CopseError('ERR_OPTION', `"${text}" is incomplete: write ${form}`);
  return [text.slice(0, at), text.slice(at + 1)];
}
