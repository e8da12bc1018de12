/** The shell of every decorator of an origin: all is as below, but for the read. */
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import type { Origin, OriginIdentity } from './origin.js';

export abstract class OriginDecorator implements Origin {
  /** What is decorated. Owned: it is closed with the decorator. */
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
