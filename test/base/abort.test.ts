import { getEventListeners } from 'node:events';
import t from 'tap';
import { unwatchAbort, watchAbort } from '../../src/base/abort.js';

t.test('one listener for all who wait, and none when they have gone', async (t) => {
  const { signal } = new AbortController();
  const callbacks = Array.from({ length: 1000 }, () => () => {});
  for (const callback of callbacks) watchAbort(signal, callback);
  t.equal(getEventListeners(signal, 'abort').length, 1);
  for (const callback of callbacks) unwatchAbort(signal, callback);
  t.equal(getEventListeners(signal, 'abort').length, 0);
});

t.test('who waits is called once, in order, and who has left is not', async (t) => {
  const controller = new AbortController();
  const { signal } = controller;
  const called: string[] = [];
  const left = (): void => void called.push('left');
  const third = (): void => void called.push('third');
  watchAbort(signal, () => {
    called.push('first');
    unwatchAbort(signal, left);
    unwatchAbort(signal, third);
  });
  watchAbort(signal, () => void called.push('second'));
  watchAbort(signal, left);
  watchAbort(signal, third);
  unwatchAbort(signal, left);
  controller.abort();
  controller.abort();
  t.same(called, ['first', 'second']);
  unwatchAbort(signal, left);
  watchAbort(undefined, left);
  unwatchAbort(undefined, left);
});
