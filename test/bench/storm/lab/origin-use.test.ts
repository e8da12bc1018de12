import t from 'tap';
import { tellApart, touchedChunks } from './origin-use.js';

const read = (offset: number, lengthBytes: number) => ({ gapMs: 0, offset, lengthBytes });

t.test('a read touches every chunk that it reaches into', async (t) => {
  t.strictSame([...touchedChunks({ reads: [read(90, 20), read(0, 1), read(300, 100)] }, 100)], [0, 1, 3]);
});

t.test('touched chunks count each time, what lies beyond apart', async (t) => {
  const ranges = [
    { offset: 0, lengthBytes: 250 }, // 0 and 1 are touched, half of 2 is not
    { offset: 100, lengthBytes: 100 }, // 1 again
    { offset: 200, lengthBytes: 100 }, // 2, all of it now
    { offset: 390, lengthBytes: 0 }, // broken off before its first byte
  ];
  t.strictSame(tellApart(ranges, new Set([0, 1]), 100), { requests: 4, touchedBytes: 300, beyondBytes: 150, uniqueBeyondBytes: 100 });
});
