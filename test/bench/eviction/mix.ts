/**
 * Realistic mixes of what a host's cache is asked for: recorded boots of several images, repeated and side by side, and one-off scans between them.
 *
 * Pure and seeded: the same seed gives the same mix. A boot is a recorded trace, at the times that it was recorded with; a scan reads all data of one image once, in order.
 */
import { KiB, MiB } from '../../../src/base/size.js';
import type { Trace, TraceRead } from '../harness/trace.js';

/** The product's default. */
export const chunkBytes = 256 * KiB;
/** Each image is 1 GiB, of which this much is data: what the recorded Debian disk had allocated. The rest is zeros, which take no space in a cache. */
const imageChunks = 4096;
const dataChunks = (309 * MiB) / chunkBytes;

export interface Access {
  atMs: number;
  /** `boot` and `scan` go the way of a guest's read, readahead included; `warm` fetches what is absent and uses nothing. */
  kind: 'boot' | 'scan' | 'warm';
  image: number;
  firstChunk: number;
  lastChunk: number;
}

export interface Mix {
  name: string;
  imageCount: number;
  /** Chunks of each image. */
  chunkCount: number;
  accesses: readonly Access[];
  /** Different chunks that the boots touch: what a cache would have to hold for no boot to miss twice. */
  workingSetChunks: number;
}

export interface MixOptions {
  name: string;
  imageCount: number;
  bootCount: number;
  /** Which image the boot of this number (0 to 1 of all boots done) starts. */
  choose: (random: () => number, done: number) => number;
  /** A scan after every so many boots, `warm` and by reads in turn; 0: none. */
  scanEvery?: number;
}

/** The most that begin together, and the mean time from one beginning to the next: some three boots run side by side. */
const meanGapMs = 5000;
/** A scan's requests (nbdcopy's are as long), and how long one takes: 100 MB/s. */
const scanReadBytes = 256 * KiB;
const scanReadMs = 2.5;

export function buildMix(options: MixOptions, traces: readonly Trace[], seed = 1): Mix {
  const random = randomOf(seed);
  const accesses: Access[] = [];
  const touched = new Set<number>();
  const traceOf = (image: number): Trace => traces[image % traces.length] as Trace;
  let atMs = 0;
  for (let boot = 0; boot < options.bootCount; boot += 1) {
    const image = options.choose(random, boot / options.bootCount);
    for (const access of bootOf(traceOf(image), image, atMs)) {
      accesses.push(access);
      for (let chunk = access.firstChunk; chunk <= access.lastChunk; chunk += 1) touched.add(image * imageChunks + chunk);
    }
    const { scanEvery = 0 } = options;
    if (scanEvery > 0 && boot % scanEvery === scanEvery - 1) {
      const scanned = Math.floor(random() * options.imageCount);
      const kind = boot % (2 * scanEvery) === scanEvery - 1 ? 'warm' : 'scan';
      accesses.push(...scanOf(traceOf(scanned), scanned, kind, atMs));
    }
    atMs += -Math.log(1 - random()) * meanGapMs;
  }
  accesses.sort((left, right) => left.atMs - right.atMs);
  return { name: options.name, imageCount: options.imageCount, chunkCount: imageChunks, accesses, workingSetChunks: touched.size };
}

function* bootOf(trace: Trace, image: number, startMs: number): Iterable<Access> {
  let atMs = startMs;
  for (const read of trace.reads) {
    atMs += read.gapMs;
    yield { atMs, kind: 'boot', image, ...chunksOf(read) };
  }
}

/** What the boot touches is data; the rest of the image's data is taken to lie evenly between. */
function scanOf(trace: Trace, image: number, kind: Access['kind'], startMs: number): Access[] {
  const data = new Set<number>();
  for (const read of trace.reads) {
    const { firstChunk, lastChunk } = chunksOf(read);
    for (let chunk = firstChunk; chunk <= lastChunk; chunk += 1) data.add(chunk);
  }
  for (let chunk = 1; data.size < dataChunks; chunk = (chunk + 3) % imageChunks) data.add(chunk);
  const chunks = [...data].sort((left, right) => left - right);
  const readsPerChunk = chunkBytes / scanReadBytes;
  return chunks.flatMap((chunk, index) =>
    Array.from({ length: readsPerChunk }, (_, part) => ({
      atMs: startMs + (index * readsPerChunk + part) * scanReadMs,
      kind,
      image,
      firstChunk: chunk,
      lastChunk: chunk,
    })),
  );
}

function chunksOf(read: TraceRead): { firstChunk: number; lastChunk: number } {
  return { firstChunk: Math.floor(read.offset / chunkBytes), lastChunk: Math.floor((read.offset + read.lengthBytes - 1) / chunkBytes) };
}

/** Picks an image by its rank's popularity: 1 / rank^exponent, the exponent as web requests and image pulls are seen to have. */
export function byPopularity(imageCount: number, exponent: number): (random: () => number) => number {
  const weights = Array.from({ length: imageCount }, (_, rank) => 1 / (rank + 1) ** exponent);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return (random) => {
    let left = random() * total;
    for (let rank = 0; rank < imageCount - 1; rank += 1) {
      left -= weights[rank] ?? 0;
      if (left < 0) return rank;
    }
    return imageCount - 1;
  };
}

/** A small seeded generator (mulberry32): numbers in [0, 1). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
