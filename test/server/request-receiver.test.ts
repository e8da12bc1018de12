/** However the input is cut, the same requests and payloads come out. */
import fc from 'fast-check';
import t from 'tap';
import { Command, CommandFlag } from '../../src/nbd/codec/constant.js';
import { emptyRequest, putCompactRequest, putExtendedRequest, type Request, requestPayloadBytes } from '../../src/nbd/codec/frame.js';
import { RequestReceiver } from '../../src/server/request-receiver.js';

interface Message {
  type: number;
  flags: number;
  offset: number;
  payload: Buffer;
  skipped: boolean;
}

function encode(messages: readonly Message[], extended: boolean): Buffer {
  return Buffer.concat(
    messages.flatMap(({ type, flags, offset, payload }, index) => {
      const header = Buffer.alloc(32);
      const lengthBytes = type === Command.WRITE ? payload.length : 77;
      const put = extended ? putExtendedRequest : putCompactRequest;
      const end = put(header, 0, { type, flags, offset, lengthBytes, cookieHigh: index, cookieLow: ~index >>> 0 });
      return [header.subarray(0, end), payload];
    }),
  );
}

/** Pulls all that is there. */
class Puller {
  readonly seen: { request: Request; payload: Buffer | undefined }[] = [];
  readonly receiver: RequestReceiver;
  readonly #extended: boolean;
  readonly #skipped: (index: number) => boolean;
  #filling: Buffer | undefined | 'none' = 'none';

  constructor(extended: boolean, skipped: (index: number) => boolean) {
    this.#extended = extended;
    this.#skipped = skipped;
    this.receiver = new RequestReceiver(extended);
  }

  push(chunk: Buffer): void {
    this.receiver.push(chunk);
    for (;;) {
      if (this.#filling !== 'none') {
        if (!this.receiver.fill()) return;
        this.#filling = 'none';
      }
      const request = emptyRequest();
      if (!this.receiver.next(request)) return;
      const payloadBytes = requestPayloadBytes(request, this.#extended);
      const payload = payloadBytes === 0 || this.#skipped(this.seen.length) ? undefined : Buffer.alloc(payloadBytes);
      this.seen.push({ request, payload });
      if (payloadBytes === 0) continue;
      this.receiver.expect(payloadBytes, payload);
      this.#filling = payload;
    }
  }
}

function assertSeen(messages: readonly Message[], puller: Puller): void {
  if (puller.seen.length !== messages.length) throw new Error(`${puller.seen.length} requests of ${messages.length}`);
  messages.forEach((message, index) => {
    const seen = puller.seen[index];
    if (seen === undefined) throw new Error('missing');
    const { request, payload } = seen;
    const same =
      request.type === message.type &&
      request.flags === message.flags &&
      request.offset === message.offset &&
      request.cookieHigh === index &&
      request.cookieLow === ~index >>> 0;
    if (!same) throw new Error(`request ${index} is ${JSON.stringify(request)} instead of ${JSON.stringify(message)}`);
    if (payload !== undefined && !payload.equals(message.payload)) throw new Error(`payload ${index} differs`);
  });
  if (puller.receiver.pendingBytes !== 0) throw new Error('bytes left');
}

const samples: Message[] = [
  { type: Command.READ, flags: 4, offset: 2 ** 40 + 3, payload: Buffer.alloc(0), skipped: false },
  { type: Command.WRITE, flags: 1, offset: 5, payload: Buffer.from('some bytes to write'), skipped: false },
  { type: Command.FLUSH, flags: 0, offset: 0, payload: Buffer.alloc(0), skipped: false },
  { type: Command.WRITE, flags: 0, offset: 9, payload: Buffer.from('skipped, for it is refused'), skipped: true },
  { type: 99, flags: 0xffff, offset: 1, payload: Buffer.alloc(0), skipped: false },
];

for (const extended of [false, true]) {
  const kind = extended ? 'extended' : 'compact';
  const payloadFlag = (message: Message): Message => ({
    ...message,
    flags: !extended ? message.flags : message.type === Command.WRITE ? CommandFlag.PAYLOAD_LEN : 0,
  });

  t.test(`${kind}: cut at every byte`, async (t) => {
    const messages = samples.map(payloadFlag);
    const bytes = encode(messages, extended);
    const skipped = (index: number): boolean => messages[index]?.skipped === true;
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const puller = new Puller(extended, skipped);
      puller.push(bytes.subarray(0, cut));
      puller.push(bytes.subarray(cut));
      t.doesNotThrow(() => assertSeen(messages, puller), `cut at ${cut}`);
    }
    const bytewise = new Puller(extended, skipped);
    for (const byte of bytes) bytewise.push(Buffer.from([byte]));
    t.doesNotThrow(() => assertSeen(messages, bytewise), 'byte by byte');
  });

  t.test(`${kind}: any requests in any pieces`, async () => {
    const message = fc.record({
      type: fc.constantFrom(Command.READ, Command.WRITE, Command.TRIM, 1234),
      flags: fc.integer({ min: 0, max: 0xffff }),
      offset: fc.maxSafeNat(),
      size: fc.integer({ min: 0, max: 200 }),
      skipped: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), fc.array(fc.integer({ min: 0, max: 120 }), { maxLength: 40 }), (drawn, cuts) => {
        const messages = drawn.map(({ size, ...rest }, index) => ({
          ...payloadFlag({ ...rest, payload: Buffer.alloc(0) }),
          payload: rest.type === Command.WRITE ? Buffer.alloc(size, index + 1) : Buffer.alloc(0),
        }));
        const bytes = encode(messages, extended);
        const puller = new Puller(extended, (index) => messages[index]?.skipped === true);
        let at = 0;
        for (const cut of cuts) {
          puller.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        puller.push(bytes.subarray(at));
        assertSeen(messages, puller);
      }),
    );
  });

  t.test(`${kind}: a puller that stops loses nothing`, async (t) => {
    const messages = samples.map(payloadFlag).filter((sample) => sample.type !== Command.WRITE);
    const bytes = encode(messages, extended);
    const receiver = new RequestReceiver(extended);
    // Everything arrives, in two pieces, before anything is pulled.
    receiver.push(bytes.subarray(0, 10));
    receiver.push(bytes.subarray(10));
    t.equal(receiver.pendingBytes, bytes.length);
    const types: number[] = [];
    for (const request = emptyRequest(); receiver.next(request); ) types.push(request.type);
    t.same(
      types,
      messages.map(({ type }) => type),
    );
  });

  t.test(`${kind}: garbage is told from requests, split or not`, async (t) => {
    const garbage = Buffer.from('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n');
    const whole = new RequestReceiver(extended);
    whole.push(garbage);
    t.throws(() => whole.next(emptyRequest()), { code: 'ERR_NBD_PROTOCOL' });
    const split = new RequestReceiver(extended);
    split.push(garbage.subarray(0, 7));
    t.equal(split.next(emptyRequest()), false);
    split.push(garbage.subarray(7));
    t.throws(() => split.next(emptyRequest()), { code: 'ERR_NBD_PROTOCOL' });
  });
}
