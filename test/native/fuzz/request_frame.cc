// Takes any bytes as a stream of requests. The parser looks at nothing beyond a header, and a
// request that it calls plain is one that TypeScript would answer in the same way.
#include "../../../native/core/fast/request_frame.h"

#include <cstdlib>
#include <cstring>
#include <memory>

using copse::ReplyMode;
using copse::Request;

namespace {

// Decoded once more, byte by byte.
uint64_t BigEndian(const uint8_t* at, size_t size) {
  uint64_t value = 0;
  for (size_t index = 0; index < size; index += 1) value = value << 8 | at[index];
  return value;
}

void Check(bool holds) {
  if (!holds) abort();
}

void CheckRequest(const uint8_t* header, ReplyMode replies, const Request& request) {
  const bool extended = replies == ReplyMode::kExtended;
  Check(request.flags == BigEndian(header + 4, 2) && request.type == BigEndian(header + 6, 2));
  Check(memcmp(&request.cookie, header + 8, 8) == 0 || request.cookie == BigEndian(header + 8, 8));
  Check(request.offset == BigEndian(header + 16, 8) && request.length == BigEndian(header + 24, extended ? 8 : 4));
  const uint64_t payload = copse::RequestPayloadBytes(request, replies);
  Check(payload == 0 || payload == request.length);
  const bool read = copse::IsPlainRead(request, replies), write = copse::IsPlainWrite(request, replies);
  Check(!(read && write));
  if (read) {
    Check(request.type == 0 && payload == 0 && request.length > 0 && request.length <= 32 << 20);
    Check((request.flags & ~4) == 0 && (request.flags == 0 || replies != ReplyMode::kSimple));
  }
  if (write) {
    Check(request.type == 1 && payload == request.length && request.length > 0 && request.length <= 1 << 20);
    Check(request.offset % 4096 == 0 && request.length % 4096 == 0);
    Check(request.flags == (extended ? 1 << 5 : 0));
  }
}

}  // namespace

// The first byte says which form of reply was negotiated.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ReplyMode replies = static_cast<ReplyMode>(data[0] % 3);
  const size_t header_bytes = copse::RequestHeaderBytes(replies);
  Check(header_bytes == (replies == ReplyMode::kExtended ? 32 : 28));
  for (size_t at = 1; size - at >= header_bytes;) {
    // A copy of its own, so that a byte too many is seen.
    const std::unique_ptr<uint8_t[]> header(new uint8_t[header_bytes]);
    memcpy(header.get(), data + at, header_bytes);
    Request request{};
    const uint64_t magic = BigEndian(header.get(), 4);
    const bool parsed = copse::ParseRequest(header.get(), replies, &request);
    Check(parsed == (magic == (replies == ReplyMode::kExtended ? 0x21e41c71 : 0x25609513)));
    if (!parsed) break;
    CheckRequest(header.get(), replies, request);
    const uint64_t payload = copse::RequestPayloadBytes(request, replies);
    at += header_bytes;
    if (payload > size - at) break;
    at += payload;
  }
  return 0;
}
