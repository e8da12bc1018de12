/**
 * The names of a peer's exports, both ways: `node`, `home/ID`, `held/ID`, `manifest/DIGEST`, `image/NAME`, `disk/UUID`, `blocks/UUID`, `map/UUID`, `call`; those of contents
 * and disks with parameters.
 *
 *   home/0123456789abcdef0123456789abcdef;from=host-a;background
 *   disk/0b54a3cd-92f9-4b6c-9a5e-0a64c3a1f5d2;from=host-a
 *
 * Parameters that are not known are passed over, so that a later version may add some.
 *
 * Source: docs/reference/peer-protocol.md.
 */
import { isDigestHex } from '../../base/digest-text.js';
import { nodeNamePattern } from '../../base/node-name.js';

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
  | { kind: 'image' /** In the catalog. */; name: string }
  | {
      /** A disk as its owner sees it now. */
      kind: 'disk';
      uuid: string;
      /** The node that asks, always given: it counts as attached. */
      from: string;
    }
  | { kind: 'blocks' /** What lies in that node's overlay. */; uuid: string; from: string; background?: boolean | undefined }
  | { kind: 'map' /** A byte a block. */; uuid: string; from: string; changes?: boolean | undefined }
  | {
      kind: 'call';
      /** The node that asks. Several nodes of one host need it, because they share an address. */
      from?: string | undefined;
    };

export function formatPeerExport(name: PeerExport): string {
  switch (name.kind) {
    case 'node':
      return name.kind;
    case 'call':
      return `${name.kind}${parameters(name.from)}`;
    case 'image':
      return `image/${name.name}`;
    case 'manifest':
      return `manifest/${name.digest}`;
    case 'map':
      return `map/${name.uuid}${parameters(name.from, { changes: name.changes })}`;
    case 'disk':
      return `disk/${name.uuid}${parameters(name.from)}`;
    case 'blocks':
      return `blocks/${name.uuid}${parameters(name.from, { background: name.background })}`;
    default:
      return `${name.kind}/${name.id}${parameters(name.from, { background: name.background })}`;
  }
}

/** `undefined`: no name of a peer export. */
export function parsePeerExport(text: string): PeerExport | undefined {
  const [base = '', ...parameters] = text.split(';');
  if (base === 'node') return { kind: base };
  if (base.startsWith('image/')) return { kind: 'image', name: base.slice('image/'.length) };
  const from = parameters.find((parameter) => parameter.startsWith('from='))?.slice('from='.length);
  if (from !== undefined && !nodeNamePattern.test(from)) return undefined;
  if (base === 'call') return { kind: base, ...(from === undefined ? {} : { from }) };
  const slash = base.indexOf('/');
  const [kind, key] = [base.slice(0, slash), base.slice(slash + 1)];
  switch (kind) {
    case 'manifest':
      return isDigestHex(key) ? { kind, digest: key } : undefined;
    case 'home':
    case 'held':
      if (!/^[0-9a-f]{32}$/.test(key)) return undefined;
      return { kind, id: key, ...(from === undefined ? {} : { from }), ...flag(parameters, 'background') };
    case 'disk':
    case 'blocks':
    case 'map':
      if (!uuidPattern.test(key) || from === undefined) return undefined;
      if (kind === 'disk') return { kind, uuid: key, from };
      return kind === 'map'
        ? { kind, uuid: key, from, ...flag(parameters, 'changes') }
        : { kind, uuid: key, from, ...flag(parameters, 'background') };
    default:
      return undefined;
  }
}

const uuidPattern = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

function parameters(from: string | undefined, flags: Record<string, boolean | undefined> = {}): string {
  const set = Object.keys(flags).filter((name) => flags[name] === true);
  return [...(from === undefined ? [] : [`from=${from}`]), ...set].map((parameter) => `;${parameter}`).join('');
}

function flag<Name extends string>(parameters: readonly string[], name: Name): { [Key in Name]?: true } {
  return parameters.includes(name) ? ({ [name]: true } as { [Key in Name]?: true }) : {};
}
