// Checks the bytes that the client receives. The host's replies come as they were sent, in order.
// The lane's own replies must be right answers to requests that had none before.
#pragma once

#include <deque>

#include "model.h"

namespace lane {

class Replies {
 public:
  Replies(copse::ReplyMode mode, Stream* stream, const Model* model) : mode_(mode), stream_(stream), model_(model) {}

  // `sent`: how much of the stream was sent.
  void Take(const uint8_t* bytes, size_t size, size_t sent) {
    while (size > 0) {
      const size_t used = from_host_ ? TakeHost(bytes, size) : data_left_ > 0 ? TakeData(bytes, size, sent) : TakeHeader(bytes, size, sent);
      bytes += used;
      size -= used;
    }
  }
  // The host sends this from now on.
  void Expect(const Bytes* reply) { host_.push_back(reply); }
  // Between two replies, with none of the host's to come.
  bool IsClean() const { return host_.empty() && header_.empty() && item_ == nullptr; }

  uint64_t reads = 0, read_bytes = 0, writes = 0, written_bytes = 0;

 private:
  bool simple() const { return mode_ == copse::ReplyMode::kSimple; }
  bool extended() const { return mode_ == copse::ReplyMode::kExtended; }
  size_t HeaderBytes() const { return simple() ? 16 : extended() ? 32 : 20; }

  size_t TakeHost(const uint8_t* bytes, size_t size) {
    const Bytes& reply = *host_.front();
    const size_t part = std::min(size, reply.size() - host_at_);
    CHECK(memcmp(bytes, &reply[host_at_], part) == 0);
    host_at_ += part;
    if (host_at_ < reply.size()) return part;
    host_.pop_front();
    from_host_ = false;
    return part;
  }

  // In steps: as far as the cookie, which says whose it is; the header; what a chunk has before its
  // data.
  size_t TakeHeader(const uint8_t* bytes, size_t size, size_t sent) {
    const size_t have = header_.size(), whole = HeaderBytes();
    const size_t wanted = have < 16 ? 16 : have < whole ? whole : whole + 4 + 4 * ChunkType();
    const size_t part = std::min(size, wanted - have);
    header_.insert(header_.end(), bytes, bytes + part);
    if (header_.size() < wanted) return part;
    if (wanted == 16 && IsHost()) return part;
    if (wanted < whole) return part;
    if (wanted == whole) {
      BeginChunk(sent);
      if (!simple() && ChunkType() != 0) return part;
    }
    EndHeader(sent);
    return part;
  }
  uint64_t ChunkType() const { return test::Get(&header_[6], 2); }

  bool IsHost() {
    const uint64_t cookie = test::Get(&header_[8], 8), index = cookie & 0xffff;
    // To what was sent, only.
    CHECK(index < stream_->items.size());
    Item& item = stream_->items[index];
    CHECK_EQ(item.cookie, cookie);
    if (item.state != Item::State::kUp) return false;
    // The host answers a request that went up.
    CHECK(item_ == nullptr);
    CHECK(!host_.empty());
    from_host_ = true;
    host_at_ = 0;
    const Bytes header = std::move(header_);
    header_.clear();
    TakeHost(header.data(), header.size());
    return true;
  }

  void BeginChunk(size_t sent) {
    using test::Get;
    Item& item = stream_->items[Get(&header_[14], 2)];
    if (item_ == nullptr) {
      CHECK(item.state == Item::State::kOpen);
      CHECK(item.plain_read || item.plain_write);
      CHECK(item.end <= sent);
      CHECK(!item.not_here);
      CHECK(model_->IsInside(item.offset, item.length));
      CHECK(item.plain_write || model_->IsHere(item.offset, item.length));
      item.state = Item::State::kAnswering;
      item_ = &item;
      at_ = item.offset;
      last_ = LastKind::kNone;
    }
    // A reply is whole.
    CHECK(item_ == &item);
    const uint8_t* const header = header_.data();
    if (simple()) {
      CHECK_EQ(Get(header, 8), uint64_t{0x67446698} << 32);
      done_ = true;
      return;
    }
    CHECK_EQ(Get(header, 4), extended() ? 0x6e8a278cu : 0x668e33efu);
    CHECK(Get(header + 4, 2) <= 1);
    done_ = Get(header + 4, 2) == 1;
    if (extended()) CHECK_EQ(Get(header + 16, 8), item.offset);
    const uint64_t type = ChunkType(), payload = extended() ? Get(header + 24, 8) : Get(header + 16, 4);
    if (item.plain_write) {
      CHECK(type == 0 && payload == 0 && done_);
      return;
    }
    CHECK(type == 1 || type == 2);
    if (type == 2) CHECK(payload == 12 && (item.flags & test::kDontFragment) == 0);
    if (type == 1) CHECK(payload > 8 && payload - 8 <= item.offset + item.length - at_);
    chunk_bytes_ = payload - 8;
  }

  void EndHeader(size_t sent) {
    using test::Get;
    const uint64_t type = simple() ? 0 : ChunkType();
    if (type != 0) CHECK_EQ(Get(&header_[HeaderBytes()], 8), at_);
    if (type == 2) {
      const uint64_t size = Get(&header_[HeaderBytes() + 8], 4);
      CHECK(last_ != LastKind::kHole && size > 0 && size <= item_->offset + item_->length - at_);
      CHECK(model_->IsRight(nullptr, at_, size, item_->begin));
      at_ += size;
      last_ = LastKind::kHole;
    } else if (item_->plain_read) {
      CHECK(last_ != LastKind::kData);
      data_left_ = simple() ? item_->length : chunk_bytes_;
      last_ = LastKind::kData;
    }
    header_.clear();
    if (data_left_ == 0) EndChunk(sent);
  }

  size_t TakeData(const uint8_t* bytes, size_t size, size_t sent) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(size, data_left_));
    CHECK(model_->IsRight(bytes, at_, part, item_->begin));
    at_ += part;
    data_left_ -= part;
    if (data_left_ == 0) EndChunk(sent);
    return part;
  }

  void EndChunk(size_t sent) {
    if (!done_) return;
    Item& item = *item_;
    item_ = nullptr;
    item.state = Item::State::kAnswered;
    item.answered_at = sent;
    if (item.plain_write) {
      writes += 1;
      written_bytes += item.length;
      return;
    }
    CHECK_EQ(at_, item.offset + item.length);
    reads += 1;
    read_bytes += item.length;
  }

  enum class LastKind { kNone, kData, kHole };
  const copse::ReplyMode mode_;
  Stream* const stream_;
  const Model* const model_;
  std::deque<const Bytes*> host_;
  bool from_host_ = false;
  size_t host_at_ = 0;
  // Of the lane's own: the request, where it is in its range, what is left of a chunk.
  Bytes header_;
  Item* item_ = nullptr;
  uint64_t at_ = 0, chunk_bytes_ = 0, data_left_ = 0;
  bool done_ = false;
  LastKind last_ = LastKind::kNone;
};

}  // namespace lane
