#include "lane_grant.h"

#include <utility>

namespace copse {

bool LaneGrant::Replace(std::shared_ptr<RangeSource> source, bool writable) {
  // The one from before goes after the mutex: its files may be closed by that.
  const std::lock_guard<std::mutex> guard(mutex_);
  source_.swap(source);
  writable_ = writable;
  turn_.fetch_add(1, std::memory_order_acq_rel);
  old_users_ += std::exchange(users_, 0);
  return old_users_ == 0;
}

bool LaneGrant::IsQuiet() {
  const std::lock_guard<std::mutex> guard(mutex_);
  return old_users_ == 0;
}

bool LaneGrant::Enter(Use* use) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (source_ == nullptr) return false;
  users_ += 1;
  use->source = source_;
  use->writable = writable_;
  use->turn = turn_.load(std::memory_order_relaxed);
  return true;
}

bool LaneGrant::Leave(Use* use) {
  // First: whoever hears that all is quiet may count on nobody holding it.
  use->source.reset();
  const std::lock_guard<std::mutex> guard(mutex_);
  if (use->turn == turn_.load(std::memory_order_relaxed)) {
    users_ -= 1;
    return false;
  }
  old_users_ -= 1;
  return old_users_ == 0;
}

}  // namespace copse
