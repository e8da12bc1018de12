/**
 * Reads the disks of a domain from its XML: their targets, and the NBD exports that they read,
 * directly or below overlays.
 *
 * The XML of a running domain has the whole chain of overlays. That of a domain that is shut off
 * has only the elements that were written into it.
 */
import { CopseError } from '../base/error.js';
import { DEFAULT_PORT } from '../nbd/codec/constant.js';
import type { NbdAddress } from '../nbd/codec/uri.js';
import { attributeOf, childOf, childrenOf, type Element, parseXml, textOf } from './xml.js';

export interface NbdSource {
  exportName: string;
  address: NbdAddress;
  /** Count of overlays above it; 0: it is the disk itself. */
  depth: number;
}

export interface DomainDisk {
  /** `vda` */
  target: string;
  bus?: string | undefined;
  readOnly: boolean;
  /** NBD exports of the chain, from the top down. */
  sources: NbdSource[];
  /** The element as libvirt wrote it. */
  element: Element;
}

export interface DomainXml {
  name: string;
  uuid: string;
  disks: DomainDisk[];
}

/** @throws CopseError `ERR_XML` if it is not the XML of a domain */
export function parseDomain(text: string): DomainXml {
  const root = parseXml(text);
  if (root.nodeName !== 'domain') throw new CopseError('ERR_XML', `this is the XML of a <${root.nodeName}>, not of a <domain>`);
  const devices = childOf(root, 'devices');
  const disks = devices === undefined ? [] : childrenOf(devices, 'disk');
  return { name: textOf(root, 'name'), uuid: textOf(root, 'uuid'), disks: disks.map(parseDisk) };
}

function parseDisk(element: Element): DomainDisk {
  const target = childOf(element, 'target');
  return {
    target: attributeOf(target, 'dev') ?? '',
    bus: attributeOf(target, 'bus'),
    readOnly: childOf(element, 'readonly') !== undefined,
    sources: parseChain(element),
    element,
  };
}

function parseChain(disk: Element): NbdSource[] {
  const sources: NbdSource[] = [];
  let depth = 0;
  for (let layer: Element | undefined = disk; layer !== undefined; layer = childOf(layer, 'backingStore')) {
    const source = childOf(layer, 'source');
    if (attributeOf(source, 'protocol') === 'nbd') {
      const address = parseHost(childOf(source, 'host'));
      if (address !== undefined) sources.push({ exportName: attributeOf(source, 'name') ?? '', address, depth });
    }
    depth += 1;
  }
  return sources;
}

function parseHost(host: Element | undefined): NbdAddress | undefined {
  const path = attributeOf(host, 'socket');
  if (path !== undefined) return { path };
  const name = attributeOf(host, 'name');
  return name === undefined ? undefined : { host: name, port: Number(attributeOf(host, 'port') ?? DEFAULT_PORT) };
}
