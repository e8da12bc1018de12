/** Texts about images and the daemon. */
import type { DaemonStatus, IdentityGuard, ImageStatus } from '../admin/control.js';
import { formatSize } from '../base/size.js';
import { formatList, formatTable } from './table.js';
import { formatDeadline, formatPart, formatSeconds, percent } from './text.js';

/**
 * The NBD URI of an export.
 *
 * @param listener a URI without an export name, as `DaemonStatus.listeners` has it
 */
export function exportUri(listener: string, name: string): string {
  const [base = '', query] = listener.split('?');
  const uri = `${base.replace(/\/+$/, base.startsWith('nbd+unix:') ? '//' : '')}/${encodeURIComponent(name).replaceAll('%2F', '/')}`;
  return query === undefined ? uri : `${uri}?${query}`;
}

export function describeImages(images: ImageStatus[]): string {
  if (images.length === 0) return 'no images; add one by "copse image add NAME URL"';
  const rows = images.map((image) => [
    image.name,
    formatSize(image.sizeBytes),
    `${formatSize(image.cache.cachedBytes)} ${percent(image.cache.cachedBytes, image.sizeBytes)} %`,
    String(image.connections),
    image.origin.health,
    image.url,
  ]);
  const warnings = images.filter(({ origin }) => origin.health === 'changed' || origin.health === 'unavailable');
  const notes = warnings.map(({ name, origin }) => `${name}: ${origin.message ?? `the origin is ${origin.health}`}`);
  return [formatTable(['name', 'size', 'cached', 'clients', 'origin', 'url'], rows), ...notes].join('\n');
}

export function describeImage(image: ImageStatus, listeners: string[]): string {
  const { cache, identity, origin } = image;
  return formatList([
    ['name', image.name],
    ['url', image.url],
    ['format', image.format],
    ['size', `${formatSize(image.sizeBytes)} (${image.sizeBytes} bytes)`],
    ['chunk size', formatSize(image.chunkSizeBytes)],
    ['deadline', formatDeadline(image.deadlineMs)],
    ['pinned', `${image.pinnedAt}, ${describeIdentity(identity)}`],
    ['manifest', image.manifest && `${image.manifest.url}, ${image.manifest.digest}`],
    ['share', image.share],
    ['guard', image.guard && describeGuard(image.guard)],
    ['file', image.container && describeContainer(image.container)],
    ['origin', origin.message === undefined ? origin.health : `${origin.health}: ${origin.message}`],
    ['cached', formatPart(cache.cachedBytes, image.sizeBytes)],
    ['on disk', formatSize(cache.dataBytes)],
    ['unverified', cache.unverifiedBytes === 0 ? undefined : formatSize(cache.unverifiedBytes)],
    ['clients', String(image.connections)],
    ...listeners.map((listener): [string, string] => ['attach', exportUri(listener, image.name)]),
  ]);
}

function describeIdentity(identity: ImageStatus['identity']): string {
  switch (identity.kind) {
    case 'http':
      if (identity.etag !== undefined) return `ETag ${identity.etag}`;
      return identity.lastModified === undefined ? 'by its size alone' : `Last-Modified ${identity.lastModified}`;
    case 'file':
      return `inode ${identity.inode}, mtime ${identity.mtimeNs} ns`;
    case 'nbd':
      return 'by its size alone';
  }
}

/** The guard of bytes that peers give. */
export function describeGuard(guard: IdentityGuard): string {
  return {
    manifest: 'guarded by the digest of every chunk',
    etag: "guarded by the origin's strong ETag",
    digest: "guarded by the file's digest",
    trust: "trusted at the operator's word",
    none: 'guarded by nothing',
  }[guard];
}

function describeContainer(container: NonNullable<ImageStatus['container']>): string {
  return {
    whole: 'has all bytes that its tables name',
    unchecked: 'its tables are not checked: "copse image add --deep" checks them',
  }[container];
}

function describeFastPath({ enabled, connections, reads, coldReads, writes, handedUp }: DaemonStatus['fastPath']): string {
  if (!enabled) return 'off';
  const written = writes === 0 ? '' : ` and ${writes} writes`;
  return `${connections} clients; ${reads} reads (${coldReads} from the disk)${written} answered natively, ${handedUp} requests handed up`;
}

export function describeDaemon(status: DaemonStatus): string {
  const { cache } = status;
  return formatList([
    ['version', status.version],
    ['running', `${formatSeconds(status.uptimeSeconds)}, pid ${status.pid}, ${formatSize(status.residentBytes)} of memory`],
    ['state', status.stateDir],
    ...status.listeners.map((listener): [string, string] => ['listens', listener]),
    ...status.adminListeners.map((listener): [string, string] => ['admin', listener]),
    ['images', String(status.imageCount)],
    ['clients', String(status.connections)],
    ['fast path', describeFastPath(status.fastPath)],
    ['cache', `${formatPart(cache.usedBytes, cache.budgetBytes)}, ${cache.message ? `${cache.state}: ${cache.message}` : cache.state}`],
    ['disk', `${formatSize(cache.freeBytes)} free, at least ${formatSize(cache.minFreeBytes)} stay free`],
    ...status.troubles.map((trouble): [string, string] => ['trouble', trouble]),
    ...status.warnings.map(({ message }): [string, string] => ['warning', message]),
  ]);
}
