/**
 * The names of a peer's exports, both ways: `node`, `home/ID`, `held/ID`, `manifest/DIGEST`, `image/NAME`, the contents' with parameters.
 *
 *   home/0123456789abcdef0123456789abcdef;from=host-a;background
 *
 * Parameters that are not known are passed over, so that a later version may add some.
 *
 * Source: docs/formats.md, "What peers tell each other".
 */
import { nodeRecordSchema } from '../node.js';

export type ContentRole = 'home' | 'held';

export type PeerExport =
  | { kind: 'node' }
  | {
      kind: ContentRole;
      /** Of the content: 32 hexadecimal digits. */
      id: string;
      /** The node that asks, so that the one that is asked knows who holds what it served. */
      from?: string | undefined;
      /** Prefetch and warming: behind all demand. */
      background?: boolean | undefined;
    }
  | { kind: 'manifest' /** 64 hexadecimal digits. */; digest: string }
  | { kind: 'image' /** In the catalog. */; name: string };

export function formatPeerExport(name: PeerExport): string {
  if (name.kind === 'node') return 'node';
  if (name.kind === 'image') return `image/${name.name}`;
  if (name.kind === 'manifest') return `manifest/${name.digest}`;
  return `${name.kind}/${name.id}${name.from === undefined ? '' : `;from=${name.from}`}${name.background === true ? ';background' : ''}`;
}

/** `undefined`: no name of a peer export. */
export function parsePeerExport(text: string): PeerExport | undefined {
  const [base = '', ...parameters] = text.split(';');
  if (base === 'node') return { kind: 'node' };
  if (base.startsWith('image/')) return { kind: 'image', name: base.slice('image/'.length) };
  const [, kind, key = ''] = /^(home|held|manifest)\/([0-9a-f]+)$/.exec(base) ?? [];
  if (kind === 'manifest') return key.length === 64 ? { kind, digest: key } : undefined;
  if ((kind !== 'home' && kind !== 'held') || key.length !== 32) return undefined;
  const from = parameters.find((parameter) => parameter.startsWith('from='))?.slice('from='.length);
  if (from !== undefined && !nodeRecordSchema.shape.id.safeParse(from).success) return undefined;
  const background = parameters.includes('background');
  return { kind, id: key, ...(from === undefined ? {} : { from }), ...(background ? { background } : {}) };
}
