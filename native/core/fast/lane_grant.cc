#include "lane_grant.h"

#include <utility>

namespace copse {

bool LaneGrant::Replace(std::shared_ptr<RangeSource> source, bool writable) {
  // The swapped source is dropped after the mutex is free: that may close its files.
  const MutexLock lock(mutex_);
  source_.swap(source);
  writable_ = writable;
  turn_.fetch_add(1, std::memory_order_acq_rel);
  old_users_ += std::exchange(users_, 0);
  return old_users_ == 0;
}

bool LaneGrant::IsQuiet() {
  const MutexLock lock(mutex_);
  return old_users_ == 0;
}

bool LaneGrant::Enter(Use* use) {
  const MutexLock lock(mutex_);
  if (source_ == nullptr) return false;
  users_ += 1;
  use->source = source_;
  use->writable = writable_;
  use->turn = turn_.load(std::memory_order_relaxed);
  return true;
}

bool LaneGrant::Leave(Use* use) {
  // First: the host that hears of quiet files relies on no thread holding them.
  use->source.reset();
  const MutexLock lock(mutex_);
  if (use->turn == turn_.load(std::memory_order_relaxed)) {
    users_ -= 1;
    return false;
  }
  old_users_ -= 1;
  return old_users_ == 0;
}

}  // namespace copse
