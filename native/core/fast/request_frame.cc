#include "request_frame.h"

#include <endian.h>

#include <cstring>

#include "../overlay_map.h"

namespace copse {

namespace {

constexpr uint32_t kCompactMagic = 0x25609513, kExtendedMagic = 0x21e41c71;

uint16_t Load16(const uint8_t* at) {
  uint16_t value;
  memcpy(&value, at, sizeof(value));
  return be16toh(value);
}

uint32_t Load32(const uint8_t* at) {
  uint32_t value;
  memcpy(&value, at, sizeof(value));
  return be32toh(value);
}

uint64_t Load64(const uint8_t* at) {
  uint64_t value;
  memcpy(&value, at, sizeof(value));
  return be64toh(value);
}

}  // namespace

size_t RequestHeaderBytes(ReplyMode replies) { return replies == ReplyMode::kExtended ? 32 : 28; }

bool ParseRequest(const uint8_t* source, ReplyMode replies, Request* request) {
  const bool extended = replies == ReplyMode::kExtended;
  if (Load32(source) != (extended ? kExtendedMagic : kCompactMagic)) return false;
  request->flags = Load16(source + 4);
  request->type = Load16(source + 6);
  request->cookie = Load64(source + 8);
  request->offset = Load64(source + 16);
  request->length = extended ? Load64(source + 24) : Load32(source + 24);
  return true;
}

uint64_t RequestPayloadBytes(const Request& request, ReplyMode replies) {
  const bool has_payload = replies == ReplyMode::kExtended ? (request.flags & Request::kPayloadLength) != 0 : request.type == Request::kWrite;
  return has_payload ? request.length : 0;
}

bool IsPlainRead(const Request& request, ReplyMode replies) {
  if (request.type != Request::kRead || request.length == 0 || request.length > Request::kMostReadBytes) return false;
  return request.flags == 0 || (request.flags == Request::kDontFragment && replies != ReplyMode::kSimple);
}

bool IsPlainWrite(const Request& request, ReplyMode replies) {
  if (request.type != Request::kWrite || request.length == 0 || request.length > Request::kMostWriteBytes) return false;
  if ((request.length | request.offset) % kBlockBytes != 0) return false;
  return request.flags == (replies == ReplyMode::kExtended ? Request::kPayloadLength : 0);
}

}  // namespace copse
