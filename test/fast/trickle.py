"""An NBD client over TCP with the smallest buffer that the kernel gives, which takes its answers in pieces of random sizes and checks each byte.

usage: trickle.py PORT EXPORT FILE SEED COUNT      (the file has what the export holds)
"""
import random
import socket
import struct
import sys

port, name, path, seed, count = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
expected = open(path, 'rb').read()
choice = random.Random(seed)
stream = socket.socket()
stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
# Of silence. How long all of it takes is the network's affair.
stream.settimeout(300)
stream.connect(('127.0.0.1', port))


def take(size):
    parts = []
    while size > 0:
        part = stream.recv(min(size, choice.choice((1, 7, 100, 1448, 5000))))
        if not part:
            raise SystemExit('the server closed')
        parts.append(part)
        size -= len(part)
    return b''.join(parts)


take(18)
stream.sendall(struct.pack('>I', 3))
# Simple replies for even seeds, structured ones for odd: NBD_OPT_STRUCTURED_REPLY.
structured = seed % 2 == 1
if structured:
    stream.sendall(struct.pack('>QII', 0x49484156454F5054, 8, 0))
    assert struct.unpack('>QIII', take(20))[2] == 1
stream.sendall(struct.pack('>QIII', 0x49484156454F5054, 7, 4 + len(name) + 2, len(name)) + name + struct.pack('>H', 0))
while True:
    _, _, kind, size = struct.unpack('>QIII', take(20))
    take(size)
    if kind == 1:
        break
    assert kind == 3, kind

asked = {}
requests = []
for cookie in range(count):
    size = 1 + choice.randrange(100_000 if cookie % 8 == 0 else 9000)
    offset = choice.randrange(len(expected) - size)
    asked[cookie] = (offset, size)
    requests.append(struct.pack('>IHHQQI', 0x25609513, 0, 0, cookie, offset, size))


def check(cookie, offset, data):
    if data != expected[offset:offset + len(data)]:
        raise SystemExit(f'{len(data)} bytes at {offset} are wrong')


def take_reply():
    magic, = struct.unpack('>I', take(4))
    if magic == 0x67446698:
        error, cookie = struct.unpack('>IQ', take(12))
        assert error == 0, error
        offset, size = asked.pop(cookie)
        check(cookie, offset, take(size))
    else:
        assert magic == 0x668E33EF, hex(magic)
        flags, kind, cookie, size = struct.unpack('>HHQI', take(16))
        if kind == 1:
            offset, = struct.unpack('>Q', take(8))
            check(cookie, offset, take(size - 8))
        elif kind == 2:
            offset, hole = struct.unpack('>QI', take(12))
            check(cookie, offset, bytes(hole))
        else:
            assert kind == 0, kind
        if flags & 1:
            asked.pop(cookie)


# Whoever is answered is known to native threads: what comes along with the handshake may go to others, as a whole.
stream.sendall(requests[0])
while 0 in asked:
    take_reply()
stream.sendall(b''.join(requests[1:]))
while asked:
    take_reply()
stream.sendall(struct.pack('>IHHQQI', 0x25609513, 0, 2, 0, 0, 0))
