// The client's bytes, as this program understands them: requests, and perhaps a tail that is none.
// It decodes them byte by byte, with nothing of the code under test.
#pragma once

#include <algorithm>
#include <vector>

#include "../../lane_client.h"
#include "situation.h"

namespace lane {

using test::Bytes;

struct Item {
  enum class State { kOpen, kUp, kAnswering, kAnswered };
  size_t begin;
  size_t header_end;
  // With its payload, which need not be there: perhaps beyond the stream.
  uint64_t end;
  uint16_t flags, type;
  uint64_t cookie, offset, length;
  // True if the lane may answer it at all, wherever it lies.
  bool plain_read = false, plain_write = false;
  State state = State::kOpen;
  // It was sent when nothing was granted, and that was quiet.
  bool not_here = false;
  // How much of the stream was sent when its answer had come: what was sent later came after it.
  size_t answered_at = SIZE_MAX;
};

class Stream {
 public:
  // Cookies get a number of their own in their last two bytes, so that each reply says what it is
  // to; the rest of them stays.
  Stream(const Situation& situation, const uint8_t* data, size_t size)
      : extended_(situation.replies == copse::ReplyMode::kExtended), simple_(situation.replies == copse::ReplyMode::kSimple), header_bytes(extended_ ? 32 : 28) {
    bytes.clear();
    size_t at = 0;
    while (size - at >= header_bytes && items.size() < kMostItems && Add(data + at)) {
      at += header_bytes;
      Item& item = items.back();
      const uint64_t payload = item.end - item.header_end;
      if (situation.payloads_made && payload <= kMostPayload) {
        AddMade(item.cookie, payload);
      } else {
        const size_t there = static_cast<size_t>(std::min<uint64_t>(payload, size - at));
        bytes.insert(bytes.end(), data + at, data + at + there);
        at += there;
      }
      if (item.plain_read) read_bytes_ += std::min<uint64_t>(item.length, 1 << 20);
      // Long enough: an execution is to be cheap.
      if (read_bytes_ > kMostReadBytes || bytes.size() > kMostBytes || bytes.size() < item.end) {
        at = size;
        break;
      }
    }
    raw_from = bytes.size();
    if (items.size() < kMostItems) bytes.insert(bytes.end(), data + at, data + size);
  }

  // Returns where, in the first `sent` bytes of the stream, the tail begins that is neither a
  // request nor part of one's payload.
  size_t RawFrom(size_t sent) const {
    for (const Item& item : items) {
      if (item.header_end > sent) return std::min(item.begin, sent);
    }
    return std::min(raw_from, sent);
  }

 private:
  static constexpr size_t kMostItems = 160;
  static constexpr uint64_t kMostPayload = (1 << 20) + 8192, kMostReadBytes = 2 << 20, kMostBytes = 3 << 20;

  // False: it is no request, or the last one.
  bool Add(const uint8_t* header) {
    using test::Get;
    Item item{};
    item.type = static_cast<uint16_t>(Get(header + 6, 2));
    if (Get(header, 4) != (extended_ ? 0x21e41c71 : 0x25609513) || item.type == test::kDisconnect) return false;
    item.begin = bytes.size();
    item.header_end = item.begin + header_bytes;
    bytes.insert(bytes.end(), header, header + header_bytes);
    bytes[item.begin + 14] = static_cast<uint8_t>(items.size() >> 8);
    bytes[item.begin + 15] = static_cast<uint8_t>(items.size());
    item.flags = static_cast<uint16_t>(Get(header + 4, 2));
    item.cookie = Get(&bytes[item.begin + 8], 8);
    item.offset = Get(header + 16, 8);
    item.length = Get(header + 24, extended_ ? 8 : 4);
    const bool payload = extended_ ? (item.flags & test::kPayloadLength) != 0 : item.type == test::kWrite;
    item.end = item.header_end + (payload ? std::min<uint64_t>(item.length, UINT64_MAX / 2) : 0);
    const bool read_flags = item.flags == 0 || (!simple_ && item.flags == test::kDontFragment);
    item.plain_read = item.type == test::kRead && read_flags && item.length > 0 && item.length <= 32 << 20;
    const bool blocks = item.offset % 4096 == 0 && item.length % 4096 == 0;
    item.plain_write = item.type == test::kWrite && item.flags == (extended_ ? test::kPayloadLength : 0) && blocks && item.length > 0 && item.length <= 1 << 20;
    items.push_back(item);
    return true;
  }

  // From one place or another of a pattern that repeats nowhere soon.
  void AddMade(uint64_t cookie, uint64_t size) {
    static const Bytes pattern = ImageBytes(0, kMostPayload + 4096);
    const uint8_t* const from = &pattern[cookie % 4096];
    bytes.insert(bytes.end(), from, from + size);
  }

  const bool extended_, simple_;
  uint64_t read_bytes_ = 0;

 public:
  const size_t header_bytes;
  // One for the process, which keeps its memory: there is one session at a time.
  static inline Bytes bytes;
  std::vector<Item> items;
  size_t raw_from;
};

}  // namespace lane
