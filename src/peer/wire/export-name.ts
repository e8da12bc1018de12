/**
 * Codec of the names of the exports that a node serves to its peers. A name is a kind, the key of a
 * content, image or disk, and parameters after semicolons:
 *
 *   node, call, manifest/DIGEST, image/NAME, disk/UUID, blocks/UUID, map/UUID
 *   home/0123456789abcdef0123456789abcdef;from=host-a;background
 *   held/0123456789abcdef0123456789abcdef;from=host-a
 *
 * Invariants: the parser accepts any text. It ignores unknown parameters, so that a later version
 * may add some. Keys of contents, disks and manifests have the only form that the formatter writes.
 *
 * Source: docs/reference/peer-protocol.md, "Exports".
 */
import { isDigestHex } from '../../base/digest-text.js';
import { nodeNamePattern } from '../../base/node-name.js';

/**
 * Role in which a node is asked for a content. As `home` it also asks its peers and the origin; as
 * `held` it answers from its own store alone.
 */
export type ContentRole = 'home' | 'held';

export type PeerExport =
  | { kind: 'node' }
  | {
      kind: ContentRole;
      /** Id of the content: 32 hexadecimal digits. */
      id: string;
      /** Id of the asking node. The home records it as a holder of the chunks that it was given. */
      from?: string | undefined;
      /** True for prefetch and warming, which go behind all demand. */
      background?: boolean | undefined;
    }
  | {
      kind: 'manifest';
      /** Digest of the manifest: 64 hexadecimal digits. */
      digest: string;
    }
  | {
      kind: 'image';
      /** Name of the image in the catalog. */
      name: string;
    }
  | {
      /** A disk as its owner sees it now. */
      kind: 'disk';
      uuid: string;
      /** Id of the asking node, which the owner counts as attached. */
      from: string;
    }
  | {
      /** The blocks of a disk that lie in the asked node's overlay. */
      kind: 'blocks';
      uuid: string;
      from: string;
      /** True for copies that no guest waits for. */
      background?: boolean | undefined;
    }
  | {
      /** The map of a disk, one byte per block. */
      kind: 'map';
      uuid: string;
      from: string;
      /** True to clear the marks of changed blocks as they are copied. */
      changes?: boolean | undefined;
    }
  | {
      kind: 'call';
      /** Id of the calling node; required of several nodes on one host, which share an address. */
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

/** @returns `undefined` if the text is not the name of a peer export */
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
