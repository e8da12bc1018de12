#include "reply_frame.h"

#include <endian.h>

#include <cstring>

namespace copse {

namespace {

constexpr uint32_t kSimpleMagic = 0x67446698, kStructuredMagic = 0x668e33ef, kExtendedMagic = 0x6e8a278c;
constexpr uint16_t kNone = 0, kOffsetData = 1, kOffsetHole = 2;

size_t Put16(uint8_t* target, uint16_t value) {
  value = htobe16(value);
  memcpy(target, &value, sizeof(value));
  return sizeof(value);
}

size_t Put32(uint8_t* target, uint32_t value) {
  value = htobe32(value);
  memcpy(target, &value, sizeof(value));
  return sizeof(value);
}

size_t Put64(uint8_t* target, uint64_t value) {
  value = htobe64(value);
  memcpy(target, &value, sizeof(value));
  return sizeof(value);
}

size_t PutSimple(uint8_t* target, const Request& to) {
  Put32(target, kSimpleMagic);
  Put32(target + 4, 0);
  Put64(target + 8, to.cookie);
  return 16;
}

size_t PutChunk(uint8_t* target, ReplyMode replies, const Request& to, bool done, uint16_t type, uint64_t payload_size) {
  const bool extended = replies == ReplyMode::kExtended;
  Put32(target, extended ? kExtendedMagic : kStructuredMagic);
  Put16(target + 4, done ? 1 : 0);
  Put16(target + 6, type);
  Put64(target + 8, to.cookie);
  if (!extended) return 16 + Put32(target + 16, static_cast<uint32_t>(payload_size));
  Put64(target + 16, to.offset);
  return 24 + Put64(target + 24, payload_size);
}

}  // namespace

size_t PutDataHeader(uint8_t* target, ReplyMode replies, const Request& to, bool done, uint64_t offset, uint64_t size) {
  if (replies == ReplyMode::kSimple) return PutSimple(target, to);
  const size_t at = PutChunk(target, replies, to, done, kOffsetData, 8 + size);
  return at + Put64(target + at, offset);
}

size_t PutHole(uint8_t* target, ReplyMode replies, const Request& to, bool done, uint64_t offset, uint64_t size) {
  size_t at = PutChunk(target, replies, to, done, kOffsetHole, 12);
  at += Put64(target + at, offset);
  return at + Put32(target + at, static_cast<uint32_t>(size));
}

size_t PutSuccess(uint8_t* target, ReplyMode replies, const Request& to) {
  return replies == ReplyMode::kSimple ? PutSimple(target, to) : PutChunk(target, replies, to, true, kNone, 0);
}

}  // namespace copse
