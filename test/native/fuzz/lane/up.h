// Compares the bytes that went up with those that were sent. Each request comes once, whole and in
// order. READs may have been cold and come later, between two others. Behind all of them comes the
// tail that is no request.
#pragma once

#include <functional>

#include "stream.h"

namespace lane {

class Up {
 public:
  // Told of each request with its payload.
  Up(Stream* stream, std::function<void(const Item&)> on_item) : stream_(stream), on_item_(std::move(on_item)) {}

  // `sent`: how much of the stream was sent.
  void Take(const uint8_t* bytes, size_t size, size_t sent) {
    while (size > 0) {
      const size_t used = raw_ ? TakeRaw(bytes, size, sent) : item_ != nullptr ? TakePayload(bytes, size, sent) : TakeHeader(bytes, size, sent);
      bytes += used;
      size -= used;
    }
  }
  // No more comes. A header that is not whole: the stream ended in it (`whole`: nothing was lost on
  // the way), or the connection.
  void End(size_t sent, bool whole) {
    if (raw_ || header_.empty()) return;
    const size_t raw_from = stream_->RawFrom(sent);
    const auto begins = [&](size_t at) { return at + header_.size() <= sent && std::equal(header_.begin(), header_.end(), stream_->bytes.begin() + at); };
    if (whole) {
      CHECK(begins(raw_from) && raw_from + header_.size() == sent);
      raw_ = true;
      raw_at_ = sent;
      return;
    }
    bool found = begins(raw_from);
    for (const Item& item : stream_->items) found = found || (item.state == Item::State::kOpen && begins(item.begin));
    CHECK(found);
  }
  // Of one that began to go up: what has; else of what is no request.
  size_t taken_of_item() const { return item_ == nullptr ? 0 : at_ - item_->begin; }
  const Item* item() const { return item_; }
  bool is_raw() const { return raw_; }
  size_t raw_at() const { return raw_at_; }
  size_t count() const { return count_; }

 private:
  size_t TakeHeader(const uint8_t* bytes, size_t size, size_t sent) {
    const size_t part = std::min(size, stream_->header_bytes - header_.size());
    header_.insert(header_.end(), bytes, bytes + part);
    if (header_.size() < stream_->header_bytes) return part;
    const size_t index = test::Get(&header_[14], 2);
    Item* const item = index < stream_->items.size() ? &stream_->items[index] : nullptr;
    if (item == nullptr || item->header_end > sent || !std::equal(header_.begin(), header_.end(), stream_->bytes.begin() + item->begin)) {
      raw_ = true;
      raw_at_ = stream_->RawFrom(sent);
      const Bytes first = std::move(header_);
      header_.clear();
      TakeRaw(first.data(), first.size(), sent);
      return part;
    }
    // Neither twice, nor answered as well.
    CHECK(item->state == Item::State::kOpen);
    if (index < next_) {
      CHECK(item->plain_read);
    } else {
      next_ = index + 1;
    }
    item->state = Item::State::kUp;
    count_ += 1;
    header_.clear();
    item_ = item;
    at_ = item->header_end;
    EndItem();
    return part;
  }
  size_t TakePayload(const uint8_t* bytes, size_t size, size_t sent) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(size, item_->end - at_));
    CHECK(at_ + part <= sent);
    CHECK(memcmp(bytes, &stream_->bytes[at_], part) == 0);
    at_ += part;
    EndItem();
    return part;
  }
  size_t TakeRaw(const uint8_t* bytes, size_t size, size_t sent) {
    CHECK(raw_at_ + size <= sent);
    CHECK(memcmp(bytes, &stream_->bytes[raw_at_], size) == 0);
    raw_at_ += size;
    return size;
  }
  void EndItem() {
    if (at_ < item_->end) return;
    const Item* const item = item_;
    item_ = nullptr;
    on_item_(*item);
  }

  Stream* const stream_;
  const std::function<void(const Item&)> on_item_;
  Bytes header_;
  Item* item_ = nullptr;
  size_t at_ = 0;
  size_t next_ = 0;
  size_t count_ = 0;
  bool raw_ = false;
  size_t raw_at_ = 0;
};

}  // namespace lane
