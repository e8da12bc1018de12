/** Texts about the sources of an export's bytes: first the conclusions, then the numbers. */
import type { Explanation } from '../admin/control.js';
import { formatSize } from '../base/size.js';
import { formatTable } from './table.js';
import { formatCount, formatMs, percent } from './text.js';

export function describeExplanation({ name, text, sources, peers, slowest, origin }: Explanation): string {
  const parts = [[name, ...text].join('\n'), describeSources(sources)];
  if (peers.length > 0) {
    const rows = peers.map(({ id, bytes, requests, failures, p50Ms, p95Ms }) => {
      return [id, formatSize(bytes), String(requests), String(failures), formatMs(p50Ms), formatMs(p95Ms)];
    });
    parts.push(formatTable(['peer', 'bytes', 'requests', 'failed', 'median', '95 %'], rows));
  }
  if (slowest.length > 0) {
    const rows = slowest.map(({ ms, source, offset, lengthBytes }) => [formatMs(ms), source, String(offset), formatSize(lengthBytes)]);
    parts.push(formatTable(['slowest', 'source', 'offset', 'length'], rows));
  }
  parts.push(describeOrigin(origin));
  return parts.join('\n\n');
}

function describeSources(sources: Explanation['sources']): string {
  const allBytes = sources.cache.bytes + sources.peer.bytes + sources.origin.bytes;
  const rows = (['cache', 'peer', 'origin'] as const).map((source) => {
    const { reads, bytes, waitedMs } = sources[source];
    const share = allBytes === 0 ? '-' : `${percent(bytes, allBytes)} %`;
    return [source, String(reads), formatSize(bytes), share, formatMs(waitedMs), reads === 0 ? '-' : formatMs(waitedMs / reads)];
  });
  return formatTable(['source', 'reads', 'bytes', 'share', 'waited', 'a read'], rows);
}

function describeOrigin({ requests, bytes, chunks, uniqueChunks, retries }: Explanation['origin']): string {
  if (requests === 0) return 'This node did not ask the origin.';
  const unique = chunks === uniqueChunks ? 'each of them once' : `${uniqueChunks} of them different`;
  const asked = `${formatCount(requests, 'request')}, ${formatSize(bytes)}, ${formatCount(chunks, 'chunk')}, ${unique}`;
  return `This node asked the origin: ${asked}; ${retries === 1 ? '1 retry' : `${retries} retries`}.`;
}
