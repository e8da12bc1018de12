/** libnbd from Python: structured reads with their chunks, block status callbacks, strictness off to send what a client must not. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { missing, run, serving } from './serving.js';

const { folder, subject, unixUri, port } = await serving(t);
const { image, file } = subject;
const python = '/usr/bin/python3';

const script = `
import errno, hashlib, json, sys, nbd
image, file, size, hole, hole_end = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
h = nbd.NBD()
h.add_meta_context("base:allocation")
h.add_meta_context("x-copse:cached")
h.connect_uri(image)
assert h.get_size() == size
assert h.is_read_only() and h.can_multi_conn() and h.can_df() and h.can_meta_context("x-copse:cached")
data = b"".join(h.pread(min(1 << 20, size - at), at) for at in range(0, size, 1 << 20))
# What was read is kept a moment later.
cached = []
def look(context, offset, entries, error):
    if context == "x-copse:cached":
        cached[:] = entries
while cached != [size, 1]:
    h.block_status(size, 0, look)
chunks = []
def chunk(buf, offset, status, error):
    chunks.append((offset, len(buf), status, error.value))
h.pread_structured(hole_end - hole + 200000, hole - 100000, chunk)
assert sum(c[1] for c in chunks) == hole_end - hole + 200000, chunks
assert any(c[2] == nbd.READ_HOLE for c in chunks), chunks
del chunks[:]
h.pread_structured(65536, hole - 100, chunk, nbd.CMD_FLAG_DF)
assert len(chunks) == 1 and chunks[0][2] == nbd.READ_DATA, chunks
status = {}
def extent(context, offset, entries, error):
    status[context] = [entries[i:i + 2] for i in range(0, len(entries), 2)]
h.block_status(size, 0, extent)
assert sorted(status) == ["base:allocation", "x-copse:cached"], status
h.block_status(size, 0, extent, nbd.CMD_FLAG_REQ_ONE)
assert all(len(entries) == 1 for entries in status.values()), status
h.cache(65536, 0)
h.set_strict_mode(0)
def fails(number, call):
    try:
        call()
    except nbd.Error as error:
        assert error.errnum == number, (error.errnum, number)
    else:
        raise AssertionError("no error")
fails(errno.EINVAL, lambda: h.pread(512, size))
fails(errno.EPERM, lambda: h.pwrite(b"x" * 512, 0))
fails(errno.EPERM, lambda: h.zero(512, 0))
fails(errno.EPERM, lambda: h.trim(512, 0))
assert h.pread(16, 0) == data[:16]
h.shutdown()

w = nbd.NBD()
w.connect_uri(file)
w.pwrite(b"abc" * 1000, 5, nbd.CMD_FLAG_FUA)
w.flush()
assert w.pread(3000, 5) == b"abc" * 1000
w.zero(1000, 6, nbd.CMD_FLAG_NO_HOLE)
assert w.pread(1000, 6) == bytes(1000)
cookies = [w.aio_pwrite(nbd.Buffer.from_bytearray(bytearray([i] * 4096)), 1 << 20 | i << 12) for i in range(32)]
while w.aio_in_flight() > 0:
    w.poll(-1)
assert all(w.aio_command_completed(cookie) for cookie in cookies)
assert w.pread(4096, 1 << 20 | 31 << 12) == bytes([31]) * 4096
w.set_strict_mode(0)
fails(errno.ENOSPC, lambda: w.pwrite(b"x" * 512, w.get_size()))
w.shutdown()
print(json.dumps({"sha256": hashlib.sha256(data).hexdigest()}))
`;

t.test(
  'python libnbd reads, writes and is refused as the specification says',
  { skip: await missing(python, '-c', 'import nbd') },
  async (t) => {
    const path = join(folder, 'client.py');
    await writeFile(path, script);
    const { createHash } = await import('node:crypto');
    const args = [unixUri(image.name), unixUri(file.name), image.bytes.length, image.holeStart, image.holeEnd].map(String);
    const { stdout } = await run(t, python, [path, ...args]);
    t.equal(JSON.parse(stdout).sha256, createHash('sha256').update(image.bytes).digest('hex'));
  },
);

t.test('nbd-client -l lists the exports', { skip: await missing('nbd-client', '--version') }, async (t) => {
  const { stdout } = await run(t, 'nbd-client', ['-l', '127.0.0.1', String(port)]);
  t.match(stdout, image.name);
  t.match(stdout, file.name);
});
