import fc from 'fast-check';
import t from 'tap';
import { native } from '../../src/base/native/loader.js';

t.test('CRC-32C has the known answers', async (t) => {
  // RFC 3720, appendix B.4, and the catalogue's check value.
  const ascending = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
  for (const crc of [native.crc32c, native.crc32cByTable]) {
    t.equal(crc(Buffer.from('123456789')), 0xe3069283);
    t.equal(crc(Buffer.alloc(32)), 0x8a9136aa);
    t.equal(crc(Buffer.alloc(32, 0xff)), 0x62a8ab43);
    t.equal(crc(ascending), 0x46dd794e);
    t.equal(crc(Buffer.alloc(0)), 0);
  }
});

t.test('CRC-32C: instruction and table agree, and parts continue each other', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), fc.nat(300), (data, a, b) => {
      const start = Math.min(a, data.length);
      const end = Math.min(Math.max(start, b), data.length);
      const whole = native.crc32c(data, start, end);
      const middle = start + ((end - start) >> 1);
      return (
        whole === native.crc32cByTable(data, start, end) &&
        whole === native.crc32c(data.slice(start, end)) &&
        whole === native.crc32c(data, middle, end, native.crc32c(data, start, middle)) &&
        whole === native.crc32cByTable(data, middle, end, native.crc32cByTable(data, start, middle))
      );
    }),
  );
});

t.test('isZero finds one bit anywhere', async (t) => {
  for (const length of [0, 1, 15, 16, 17, 31, 32, 33, 4096, 65537]) {
    const data = Buffer.alloc(length + 2);
    data[0] = 1;
    data[length + 1] = 1;
    t.equal(native.isZero(data, 1, length + 1), true, `${length} zeros`);
    for (const at of [0, 7, 15, 16, 17, 31, length - 1].filter((index) => index >= 0 && index < length)) {
      data[1 + at] = 0x80;
      t.equal(native.isZero(data, 1, length + 1), false, `${length} bytes, set at ${at}`);
      data[1 + at] = 0;
    }
  }
});

t.test('wrong arguments throw', async (t) => {
  const data = Buffer.alloc(8);
  const wrong = (value: unknown): never => value as never;
  t.throws(() => native.crc32c(wrong('text')), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => native.crc32c(wrong(new Float64Array(1))), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => native.crc32c(wrong(undefined)), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => native.crc32c(data, 0, 9), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => native.crc32c(data, 5, 4), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => native.crc32c(data, -1), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => native.crc32c(data, 0.5), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => native.crc32c(data, Number.NaN), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => native.crc32c(data, 0, 8, 2 ** 32), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => native.isZero(data, wrong('0'), 8), { code: 'ERR_INVALID_ARG_TYPE' });
});

t.test('a detached buffer has no bytes', async (t) => {
  const data = new Uint8Array(64);
  structuredClone(data.buffer, { transfer: [data.buffer] });
  t.throws(() => native.isZero(data, 0, 64), { code: 'ERR_OUT_OF_RANGE' });
  t.equal(native.crc32c(data), 0);
});
