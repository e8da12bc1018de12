/**
 * Contents of disks whose origin this node may open by its own word: its catalog named them while a
 * disk over them was here. A disk keeps the content that it was created over, so the word has to
 * outlive the image's name.
 *
 * The file maps the id of a content, as the disk's record has it, to the content that this node
 * opens for it: the same one, or one of this node's catalog that has the same bytes by manifest,
 * ETag or digest. A peer's word never gets in here.
 *
 * Invariant: a word is durable before it is used, but on a full disk: there it holds until the
 * process ends, so that no disk has to wait for room.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { replaceFile } from '../base/replace-file.js';
import { clusterIdOf } from './cluster-id.js';
import { type ContentSpec, contentId, type ImageRecord, imageRecordSchema } from './image-record.js';

const fileSchema = z.object({ format: z.literal(1), contents: z.record(z.string(), imageRecordSchema.shape.content) });

/** The oldest go beyond it. */
const maxContents = 10_000;

export interface DiskOriginsOptions {
  path: string;
  /** Records of this node's own catalog. */
  images(): readonly Pick<ImageRecord, 'content' | 'share'>[];
  /**
   * Contents of the disks that are here already, for a state directory without the file: they were
   * opened before there was one.
   */
  present(): readonly ContentSpec[];
  log: Logger;
}

export class DiskOrigins {
  readonly #options: DiskOriginsOptions;
  #contents: Record<string, ContentSpec>;

  /** @throws CopseError `ERR_STATE` when the file can't be read */
  constructor(options: DiskOriginsOptions) {
    this.#options = options;
    const known = read(options.path);
    this.#contents = known ?? {};
    if (known !== undefined) return;
    // Also where there are none: a disk that a peer brings later must not count at the next start.
    this.#save(Object.fromEntries(options.present().map((spec) => [contentId(spec), spec])));
  }

  /**
   * @returns the content of this node whose origin may be opened for a disk over `spec`;
   * `undefined` if there is none
   */
  origin(spec: ContentSpec): ContentSpec | undefined {
    const id = contentId(spec);
    const known = this.#contents[id];
    if (known !== undefined) return known;
    const found = this.#inCatalog(spec, id);
    if (found !== undefined) this.remember(spec, found);
    return found;
  }

  /**
   * True if an earlier word makes the content this node's, whatever the catalog says now.
   *
   * @param id as `contentId` gives it
   */
  has(id: string): boolean {
    return this.#contents[id] !== undefined;
  }

  /** Remembers a content that the operator named just now. */
  remember(spec: ContentSpec, own: ContentSpec = spec): void {
    const id = contentId(spec);
    if (this.#contents[id] !== undefined) return;
    this.#save(Object.fromEntries([...Object.entries(this.#contents), [id, own]].slice(-maxContents)));
  }

  #inCatalog(spec: ContentSpec, id: string): ContentSpec | undefined {
    const alike = this.#options
      .images()
      .filter(
        ({ content }) =>
          content.sizeBytes === spec.sizeBytes && content.format === spec.format && content.chunkSizeBytes === spec.chunkSizeBytes,
      );
    const same = alike.find(({ content }) => contentId(content) === id);
    if (same !== undefined) return same.content;
    // A backing file is a content of its own, and nothing here compares those.
    if (spec.backing !== undefined) return undefined;
    const shared = sharedIdOf(spec);
    if (shared === undefined) return undefined;
    return alike.find(({ content }) => content.backing === undefined && sharedIdOf(content) === shared)?.content;
  }

  #save(contents: Record<string, ContentSpec>): void {
    this.#contents = contents;
    const { path, log } = this.#options;
    try {
      replaceFile(path, `${JSON.stringify({ format: 1, contents }, undefined, 2)}\n`);
    } catch (error) {
      log.error(
        { file: path, reason: errorMessage(error) },
        'origins of disks are known until this process ends alone: make room for the file',
      );
    }
  }
}

/** Compares by the bytes alone: a peer's word that contents are equal counts for nothing. */
function sharedIdOf(spec: ContentSpec): string | undefined {
  return clusterIdOf(spec, { share: 'auto', peers: 'strong' }).id;
}

function read(path: string): Record<string, ContentSpec> | undefined {
  try {
    return fileSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).contents;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new CopseError(
      'ERR_STATE',
      `${path} can't be read: ${errorMessage(error)}; restore it, or remove it: then the disks that are here count as this node's own`,
      { cause: error },
    );
  }
}
