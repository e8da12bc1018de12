// The right answers to a READ: the device as plain bytes, and over them the writes that the lane
// may have done.
//
// Any write that was sent and did not go up may have been done. A write that was answered before
// the READ was sent has been done, and the bytes below it are gone.
#pragma once

#include <algorithm>
#include <cstring>

#include "device.h"
#include "stream.h"

namespace lane {

class Model {
 public:
  // `content`: null where there is no device.
  Model(const Files::Content* content, const Stream* stream) : content_(content), stream_(stream) {}

  bool IsInside(uint64_t offset, uint64_t size) const {
    return content_ != nullptr && offset <= content_->bytes.size() && size <= content_->bytes.size() - offset;
  }
  // True if all of it may be in local files.
  bool IsHere(uint64_t offset, uint64_t size) const {
    for (uint64_t block = offset / Files::kBlock; block <= (offset + size - 1) / Files::kBlock; block += 1) {
      if (!content_->here[block] && LastOver(block, SIZE_MAX) == nullptr) return false;
    }
    return true;
  }
  // `data` null: zeros. `asked_at`: where in the stream it was asked.
  bool IsRight(const uint8_t* data, uint64_t offset, size_t size, size_t asked_at) const {
    static const std::vector<uint8_t> zeros(Files::kDiskBytes);
    if (data == nullptr) data = zeros.data();
    if (writes_.empty()) return memcmp(data, &content_->bytes[offset], size) == 0;
    while (size > 0) {
      const size_t part = static_cast<size_t>(std::min<uint64_t>(size, Files::kBlock - offset % Files::kBlock));
      if (!IsRightInBlock(data, offset, part, asked_at)) return false;
      data += part;
      offset += part;
      size -= part;
    }
    return true;
  }
  // Of the lane's own: once, when its writes are known.
  void AddWrite(const Item& item) { writes_.push_back(&item); }

 private:
  static bool Covers(const Item& item, uint64_t block) {
    return item.state != Item::State::kUp && item.offset / Files::kBlock <= block && block < (item.offset + item.length) / Files::kBlock;
  }
  // The last one over a block that was answered before; of all times, any.
  const Item* LastOver(uint64_t block, size_t asked_at) const {
    for (size_t i = writes_.size(); i > 0; i -= 1) {
      if (Covers(*writes_[i - 1], block) && (asked_at == SIZE_MAX || writes_[i - 1]->answered_at <= asked_at)) return writes_[i - 1];
    }
    return nullptr;
  }
  bool IsRightInBlock(const uint8_t* data, uint64_t offset, size_t size, size_t asked_at) const {
    const uint64_t block = offset / Files::kBlock;
    const Item* const known = LastOver(block, std::min(asked_at, SIZE_MAX - 1));
    static std::vector<const uint8_t*> candidates;
    candidates.clear();
    if (known == nullptr) candidates.push_back(&content_->bytes[offset]);
    for (const Item* const write : writes_) {
      if (Covers(*write, block) && (known == nullptr || write >= known)) candidates.push_back(&stream_->bytes[write->header_end + (offset - write->offset)]);
    }
    for (const uint8_t* const candidate : candidates) {
      if (memcmp(data, candidate, size) == 0) return true;
    }
    if (candidates.size() == 1) return false;
    // Between two of them.
    for (size_t i = 0; i < size; i += 1) {
      if (std::none_of(candidates.begin(), candidates.end(), [&](const uint8_t* candidate) { return candidate[i] == data[i]; })) return false;
    }
    return true;
  }

  const Files::Content* const content_;
  const Stream* const stream_;
  std::vector<const Item*> writes_;
};

}  // namespace lane
