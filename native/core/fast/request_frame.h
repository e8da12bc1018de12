// A request's header, as far as framing and native answers need it. No I/O, no state. Source:
// doc/proto.md, "Request message"; branch extension-ext-header.
#pragma once

#include <cstddef>
#include <cstdint>

namespace copse {

enum class ReplyMode { kSimple, kStructured, kExtended };

struct Request {
  uint16_t flags;
  uint16_t type;
  uint64_t cookie;  // as it came, never interpreted
  uint64_t offset;
  uint64_t length;

  static constexpr uint16_t kRead = 0, kWrite = 1, kDisconnect = 2;
  static constexpr uint16_t kDontFragment = 1 << 2, kPayloadLength = 1 << 5;
  static constexpr uint64_t kMostReadBytes = 32 << 20, kMostWriteBytes = 1 << 20;
  static constexpr size_t kMostHeaderBytes = 32;
};

// 28, or 32 with extended headers.
size_t RequestHeaderBytes(ReplyMode replies);

// Reads RequestHeaderBytes. False: it begins with another magic, so nothing behind it can be made
// sense of.
bool ParseRequest(const uint8_t* source, ReplyMode replies, Request* request);

// Length of the payload behind the header. A compact WRITE carries its data. With extended headers
// a request carries a payload if its flag says so. Any 64-bit number.
uint64_t RequestPayloadBytes(const Request& request, ReplyMode replies);

// True if the READ, or the WRITE, is of a kind that is answered natively. It may lie outside of the
// export all the same.
bool IsPlainRead(const Request& request, ReplyMode replies);
bool IsPlainWrite(const Request& request, ReplyMode replies);

}  // namespace copse
