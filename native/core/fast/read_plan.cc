// ReadPlan: parts that grow as they adjoin, and the pins that go with them.
#include "range_source.h"

namespace copse {

bool ReadPlan::Clear() {
  bool valid = true;
  for (const Pins& run : pins_) {
    for (uint32_t index = run.first; index < run.end; index += 1) {
      if (!image_->map().Unpin(index)) valid = false;
    }
  }
  pins_.clear();
  parts_.clear();
  image_.reset();
  overlay_.reset();
  return valid;
}

bool ReadPlan::Add(int fd, uint64_t offset, uint64_t size) {
  if (!parts_.empty() && parts_.back().fd == fd && (fd < 0 || parts_.back().offset + parts_.back().size == offset)) {
    parts_.back().size += size;
    return true;
  }
  if (parts_.size() == kMostParts) return false;
  parts_.push_back({fd, offset, size});
  return true;
}

void ReadPlan::AddPin(uint32_t index) {
  if (!pins_.empty() && pins_.back().end == index) {
    pins_.back().end += 1;
  } else {
    pins_.push_back({index, index + 1});
  }
}

bool ReadPlan::MayBeSent() {
  for (const Part& part : parts_) {
    if (part.fd < 0) continue;
    const bool of_overlay = overlay_ && part.fd == overlay_->data_fd();
    if (!(of_overlay ? overlay_->IsResident(part.offset, part.size) : image_->IsResident(part.offset, part.size))) return false;
  }
  for (const Pins& run : pins_) {
    for (uint32_t index = run.first; index < run.end; index += 1) image_->map().SetSent(index);
  }
  return true;
}

}  // namespace copse
