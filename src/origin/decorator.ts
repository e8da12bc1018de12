/**
 * Base class of decorators of an origin. It passes everything on but the read, which each decorator
 * defines.
 */
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import type { Origin, OriginIdentity } from './origin.js';

export abstract class OriginDecorator implements Origin {
  /** The decorated origin. The decorator owns it and closes it. */
  protected readonly below: Origin;

  constructor(below: Origin) {
    this.below = below;
  }

  get url(): string {
    return this.below.url;
  }

  get identity(): OriginIdentity {
    return this.below.identity;
  }

  get sizeBytes(): number {
    return this.below.sizeBytes;
  }

  abstract read(offset: number, lengthBytes: number, sink: RangeSink, options?: SourceReadOptions): Promise<void>;

  close(): Promise<void> {
    return this.below.close();
  }
}
