// Reads of a cached image, chunk by chunk.
#include <algorithm>

#include "range_source.h"

namespace copse {

Found ImageSource::ReadNow(uint8_t* target, size_t size, uint64_t offset) {
  switch (file_->ReadNow(target, size, offset, Reader::kLane)) {
    case NowResult::kHit:
      return Found::kHit;
    case NowResult::kWouldBlock:
      return Found::kCold;
    default:
      return Found::kUp;
  }
}

bool ImageSource::IsZero(uint64_t offset, uint64_t size) const { return file_->IsZero(offset, size); }

bool ImageSource::IsHere(uint64_t offset, uint64_t size) const {
  const uint32_t last = static_cast<uint32_t>((offset + size - 1) / file_->chunk_bytes());
  for (uint32_t index = static_cast<uint32_t>(offset / file_->chunk_bytes()); index <= last; index += 1) {
    if (!file_->map().IsReadable(index, Reader::kLane)) return false;
  }
  return true;
}

Found ImageSource::Plan(uint64_t offset, uint64_t size, ReadPlan* plan) {
  if (AddTo(offset, size, plan)) return plan->MayBeSent() ? Found::kHit : Found::kCold;
  plan->Clear();
  return Found::kUp;
}

bool ImageSource::AddTo(uint64_t offset, uint64_t size, ReadPlan* plan) {
  // One that ends in what is absent should not pin and use what is before.
  if (!IsHere(offset, size)) return false;
  if (!plan->image_) plan->image_ = file_;
  const uint64_t end = offset + size;
  while (offset < end) {
    const uint32_t index = static_cast<uint32_t>(offset / file_->chunk_bytes());
    const uint64_t part = std::min(end, (uint64_t{index} + 1) * file_->chunk_bytes()) - offset;
    const Pin pin = file_->map().TryPin(index, Reader::kLane);
    if (pin == Pin::kPinned) {
      plan->AddPin(index);
      if (!plan->Add(file_->data_fd(), offset, part)) return false;
    } else if (pin != Pin::kZero || !plan->AddZeros(part)) {
      return false;
    }
    offset += part;
  }
  return true;
}

}  // namespace copse
