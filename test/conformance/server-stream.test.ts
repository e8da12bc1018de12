/** The suite under Copse's TypeScript transmission over a stream that is no socket: what TLS will be, too. */
import { Duplex } from 'node:stream';
import t from 'tap';
import { unknownClient } from '../../src/server/client-identity.js';
import { shortDir } from '../support/short-dir.js';
import { conformance } from './conformance.js';
import { serve } from './server-subject.js';

const { server, subject, close } = await serve(shortDir(t));
t.after(close);

/** Two streams, each of which reads what the other writes; an end or a destroy of one is seen by the other. */
function pair(): [Duplex, Duplex] {
  const make = (other: () => Duplex, pending: { done: (() => void) | undefined }, back: { done: (() => void) | undefined }): Duplex =>
    new Duplex({
      allowHalfOpen: true,
      read() {
        const { done } = back;
        back.done = undefined;
        done?.();
      },
      write(chunk: Buffer, _encoding, callback) {
        if (other().destroyed) return callback();
        if (other().push(Buffer.from(chunk))) callback();
        else pending.done = callback;
        return undefined;
      },
      final(callback) {
        if (!other().destroyed) other().push(null);
        callback();
      },
      destroy(error, callback) {
        pending.done?.();
        if (!other().destroyed) setImmediate(() => other().destroy());
        callback(error);
      },
    });
  const toB: { done: (() => void) | undefined } = { done: undefined };
  const toA: { done: (() => void) | undefined } = { done: undefined };
  const a: Duplex = make(() => b, toB, toA);
  const b: Duplex = make(() => a, toA, toB);
  return [a, b];
}

conformance(t, {
  ...subject,
  name: 'copse over a stream',
  connect: async () => {
    const [mine, yours] = pair();
    void server.accept(yours, unknownClient('a stream'));
    return mine;
  },
});
