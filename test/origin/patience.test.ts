/** Work without a guest waits for its origin, but not for ever. */

import t from 'tap';
import { AbortedError } from '../../src/base/error.js';
import { silentLogger } from '../../src/base/log.js';
import type { SourceReadOptions } from '../../src/block/read-options.js';
import type { RangeSink } from '../../src/block/sink.js';
import { type Origin, OriginError } from '../../src/origin/origin.js';
import { patiently } from '../../src/origin/patience.js';
import { bufferSink } from '../../src/origin/sink.js';
import { ManualClock } from '../cache/manual-clock.js';

class Away implements Origin {
  readonly url = 'http://origin/a';
  readonly identity = { kind: 'nbd', sizeBytes: 100 } as const;
  readonly sizeBytes = 100;
  attempts = 0;
  answer: (sink: RangeSink, options: SourceReadOptions) => Promise<void> = () =>
    Promise.reject(new OriginError('ERR_ORIGIN_UNAVAILABLE', 'away'));

  read(_offset: number, _lengthBytes: number, sink: RangeSink, options: SourceReadOptions): Promise<void> {
    this.attempts += 1;
    return this.answer(sink, options);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const hang = (_sink: RangeSink, { signal }: SourceReadOptions): Promise<void> =>
  new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new AbortedError('read'))));

t.test('an origin that stays away ends the read after a minute, and the error says what it was', async (t) => {
  const [clock, origin] = [new ManualClock(), new Away()];
  const reading = patiently(origin, silentLogger, clock).read(0, 100, bufferSink(Buffer.alloc(100)));
  let ended = false;
  const outcome = reading.catch((error: unknown) => {
    ended = true;
    return error;
  });
  for (let second = 0; second < 59; second += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(1000);
  }
  await new Promise((resolve) => setImmediate(resolve));
  t.notOk(ended);
  t.ok(origin.attempts > 5);
  clock.advance(1000);
  const error = await outcome;
  t.match(error, { code: 'ERR_DEADLINE', cause: { code: 'ERR_ORIGIN_UNAVAILABLE' } });
});

t.test('one that comes back is read; no timer is left', async (t) => {
  const [clock, origin] = [new ManualClock(), new Away()];
  const reading = patiently(origin, silentLogger, clock).read(0, 100, bufferSink(Buffer.alloc(100)));
  await new Promise((resolve) => setImmediate(resolve));
  origin.answer = (sink) => Promise.resolve(sink.zeroes(100));
  clock.advance(5000);
  await reading;
  t.equal(clock.timerCount, 0);
});

t.test('who gives up is let go at once', async (t) => {
  const [clock, origin, abort] = [new ManualClock(), new Away(), new AbortController()];
  origin.answer = hang;
  const patient = patiently(origin, silentLogger, clock);
  const reading = patient.read(0, 100, bufferSink(Buffer.alloc(100)), { signal: abort.signal });
  abort.abort();
  await t.rejects(reading, { code: 'ERR_ABORTED' });
  t.equal(clock.timerCount, 0);
});
