/** A statement of a node in good health. */
import { type NodeStatement, protocolVersion, type SharedContent } from '../../src/cluster/node.js';

export function statementOf(id: string, overrides: Partial<NodeStatement> = {}): NodeStatement {
  return {
    protocol: { ...protocolVersion },
    version: '1.2.3',
    id,
    token: `token-of-${id}`,
    cluster: 'default',
    address: `${id}:1`,
    donatedBytes: 2 ** 30,
    draining: false,
    startedAt: '2026-11-22T10:00:00.000Z',
    usedBytes: 0,
    contents: [],
    attached: [],
    disks: [],
    ...overrides,
  };
}

/** 32 hexadecimal digits that end with `index`. */
export function contentIdOf(index: number): string {
  return index.toString(16).padStart(32, '0');
}

export function sharedContent(index: number, overrides: Partial<SharedContent> = {}): SharedContent {
  return { id: contentIdOf(index), sizeBytes: 2 ** 20, chunkSizeBytes: 2 ** 16, originReachable: true, ...overrides };
}
