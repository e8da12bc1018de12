/**
 * Writes and reads the XML of libvirt.
 *
 * Invariants: the library escapes all values, and a value that XML can't carry is refused.
 * Documents come from libvirt or an operator, and entities that they declare are not expanded.
 */
import { DOMImplementation, DOMParser, type Document, type Element, type Node, onWarningStopParsing, XMLSerializer } from '@xmldom/xmldom';
import { CopseError } from '../base/error.js';

export type { Element } from '@xmldom/xmldom';

/** Description of an element to write. Absent attributes and children are omitted. */
export interface ElementSpec {
  name: string;
  attributes?: Record<string, string | number | undefined>;
  /** Elements, or text alone. */
  content?: (ElementSpec | undefined)[] | string;
}

/**
 * Formats an element: indented by two spaces, without an XML declaration, with a newline at the
 * end.
 *
 * @throws CopseError `ERR_XML` if a value holds a character that XML can't carry
 */
export function formatXml(spec: ElementSpec): string {
  const document = new DOMImplementation().createDocument(null, '');
  document.appendChild(build(document, spec, 0));
  return serialize(document);
}

/** @throws CopseError `ERR_XML` */
export function serialize(node: Node): string {
  try {
    return `${new XMLSerializer().serializeToString(node, { requireWellFormed: true })}\n`;
  } catch (error) {
    throw new CopseError('ERR_XML', 'a value holds a character that XML can not carry', { cause: error });
  }
}

/** Source: XML 1.0, production 2. */
const unwritable = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;

/** Refuses characters that the library lets pass in attributes. */
function checked(value: string): string {
  if (unwritable.test(value)) throw new CopseError('ERR_XML', `${JSON.stringify(value)} holds a character that XML can not carry`);
  return value;
}

function build(document: Document, { name, attributes = {}, content = [] }: ElementSpec, depth: number): Element {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(key, checked(String(value)));
  if (typeof content === 'string') {
    element.appendChild(document.createTextNode(checked(content)));
    return element;
  }
  const children = content.filter((child) => child !== undefined);
  for (const child of children) {
    element.appendChild(document.createTextNode(`\n${'  '.repeat(depth + 1)}`));
    element.appendChild(build(document, child, depth + 1));
  }
  if (children.length > 0) element.appendChild(document.createTextNode(`\n${'  '.repeat(depth)}`));
  return element;
}

/** The root element. @throws CopseError `ERR_XML` on anything that is not well-formed */
export function parseXml(text: string): Element {
  try {
    const root = new DOMParser({ onError: onWarningStopParsing }).parseFromString(text, 'application/xml').documentElement;
    if (root !== null) return root;
  } catch (error) {
    throw new CopseError('ERR_XML', 'this is no well-formed XML', { cause: error });
  }
  throw new CopseError('ERR_XML', 'this XML has no element');
}

/** The child elements of that name, in their order. */
export function childrenOf(parent: Element, name: string): Element[] {
  const found: Element[] = [];
  for (let node = parent.firstChild; node !== null; node = node.nextSibling) {
    if (isElement(node) && node.nodeName === name) found.push(node);
  }
  return found;
}

export function childOf(parent: Element | undefined, name: string): Element | undefined {
  return parent === undefined ? undefined : childrenOf(parent, name)[0];
}

/** Text of a child element, trimmed; `''` if there is none. */
export function textOf(parent: Element, name: string): string {
  return childOf(parent, name)?.textContent?.trim() ?? '';
}

/** The attribute, or `undefined` if it is absent or empty. */
export function attributeOf(element: Element | undefined, name: string): string | undefined {
  return element?.getAttribute(name) || undefined;
}

function isElement(node: Node): node is Element {
  return node.nodeType === 1;
}
