/**
 * Hash of a world: 53 bits, the same for two worlds that differ only by the names of nodes B and C.
 *
 * Nodes B and C start alike, so each world has a mirror image in which they have changed places. The
 * hash is the smaller one of both, which halves the space. The order of keys and of sets does not
 * count. Of ten million worlds two have the same hash with a chance of one in two hundred.
 *
 * Worlds share most of their parts. The hash of each part is computed once and kept with the part.
 */
import type { World } from './world.js';

/** Two halves of a hash, then the two halves for the mirror image. */
type Hash = readonly [number, number, number, number];

const parts = new WeakMap<object, Hash>();
const texts = new Map<string, Hash>();
const numbers = new Map<number, Hash>();

export function hashOf({ nodes, messages, budget, cut, kept, lastVersion, hasForced, index }: World): number {
  const [low, high, mirrorLow, mirrorHigh] = sum([
    keyed('budget', hashValue(budget)),
    keyed('versions', numberHash((hasForced ? 1 : 2) + 4 * (kept + 16 * lastVersion))),
    keyed('index', hashValue(index)),
    keyed('cut', textHash(cut ?? '')),
    keyed('A', hashValue(nodes.A)),
    keyed('B', hashValue(nodes.B)),
    keyed('C', hashValue(nodes.C)),
    setHash(messages),
  ]);
  return Math.min(join(low, high), join(mirrorLow, mirrorHigh));
}

function hashValue(value: unknown): Hash {
  switch (typeof value) {
    case 'number':
      return numberHash(value);
    case 'string':
      return textHash(value);
    case 'boolean':
      return numberHash(value ? -1 : -2);
    case 'object':
      return value === null ? numberHash(-3) : partHash(value);
    default:
      return numberHash(-4);
  }
}

function partHash(part: object): Hash {
  const known = parts.get(part);
  if (known !== undefined) return known;
  const made = Array.isArray(part) ? arrayHash(part) : objectHash(part);
  parts.set(part, made);
  return made;
}

/** Texts in a list are names, and their order does not count. */
function arrayHash(list: readonly unknown[]): Hash {
  if (typeof list[0] === 'string') return setHash(list);
  return sum([numberHash(list.length), ...list.map((item, index) => keyed(String(index), hashValue(item)))]);
}

function objectHash(part: object): Hash {
  const fields = part as Readonly<Record<string, unknown>>;
  let low = 0;
  let high = 0;
  let mirrorLow = 0;
  let mirrorHigh = 0;
  for (const key in fields) {
    const value = fields[key];
    if (value === undefined) continue;
    const [keyLow, keyHigh, keyMirrorLow, keyMirrorHigh] = textHash(key);
    const hash = hashValue(value);
    low = (low + mixed(keyLow, hash[0])) | 0;
    high = (high + mixed(keyHigh, hash[1])) | 0;
    mirrorLow = (mirrorLow + mixed(keyMirrorLow, hash[2])) | 0;
    mirrorHigh = (mirrorHigh + mixed(keyMirrorHigh, hash[3])) | 0;
  }
  return [low, high, mirrorLow, mirrorHigh];
}

function setHash(items: readonly unknown[]): Hash {
  return sum(items.map((item) => keyed('item', hashValue(item))));
}

function numberHash(value: number): Hash {
  const known = numbers.get(value);
  if (known !== undefined) return known;
  const upper = Math.floor(value / 2 ** 32);
  const low = mixed(value | 0, upper ^ 0x9e3779b1);
  const high = mixed(value | 0, upper ^ 0x85ebca77);
  const made: Hash = [low, high, low, high];
  numbers.set(value, made);
  return made;
}

function textHash(text: string): Hash {
  const known = texts.get(text);
  if (known !== undefined) return known;
  const mirror = text.replace(/\b[BC]\b/g, (id) => (id === 'B' ? 'C' : 'B'));
  const made: Hash = [...halves(text), ...halves(mirror)];
  texts.set(text, made);
  return made;
}

function halves(text: string): [number, number] {
  let low = 0x811c9dc5;
  let high = 0x1b873593;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    low = Math.imul(low ^ code, 0x01000193);
    high = mixed(high, code);
  }
  return [mixed(low, text.length), mixed(high, text.length)];
}

function keyed(key: string, [low, high, mirrorLow, mirrorHigh]: Hash): Hash {
  const [keyLow, keyHigh, keyMirrorLow, keyMirrorHigh] = textHash(key);
  return [mixed(keyLow, low), mixed(keyHigh, high), mixed(keyMirrorLow, mirrorLow), mixed(keyMirrorHigh, mirrorHigh)];
}

function sum(all: readonly Hash[]): Hash {
  let low = 0;
  let high = 0;
  let mirrorLow = 0;
  let mirrorHigh = 0;
  for (const each of all) {
    low = (low + each[0]) | 0;
    high = (high + each[1]) | 0;
    mirrorLow = (mirrorLow + each[2]) | 0;
    mirrorHigh = (mirrorHigh + each[3]) | 0;
  }
  return [mixed(low, all.length), mixed(high, all.length), mixed(mirrorLow, all.length), mixed(mirrorHigh, all.length)];
}

/** Murmur's finalizer over both. */
function mixed(left: number, right: number): number {
  let value = Math.imul(left ^ Math.imul(right, 0xcc9e2d51), 0x1b873593) + Math.imul(right, 5);
  value ^= value >>> 16;
  value = Math.imul(value, 0x85ebca6b);
  value ^= value >>> 13;
  value = Math.imul(value, 0xc2b2ae35);
  return value ^ (value >>> 16);
}

function join(low: number, high: number): number {
  return (low >>> 0) * 0x200000 + (high >>> 11);
}
