#include "range_lock.h"

namespace copse {

unsigned RangeLock::waiting_count() {
  const std::lock_guard<std::mutex> hold(mutex_);
  return waiting_;
}

RangeLock::Guard::Guard(RangeLock& lock, uint64_t first, uint64_t end) : lock_(lock), first_(first), end_(end) {
  std::unique_lock<std::mutex> hold(lock.mutex_);
  before_ = lock.last_;
  if (before_ != nullptr) before_->after_ = this;
  lock.last_ = this;
  while (MustWait()) {
    lock.waiting_ += 1;
    lock.released_.wait(hold);
    lock.waiting_ -= 1;
  }
}

RangeLock::Guard::~Guard() {
  const std::lock_guard<std::mutex> hold(lock_.mutex_);
  if (before_ != nullptr) before_->after_ = after_;
  (after_ != nullptr ? after_->before_ : lock_.last_) = before_;
  if (lock_.waiting_ > 0) lock_.released_.notify_all();
}

// An earlier request that overlaps goes first, whether it holds its range or waits.
bool RangeLock::Guard::MustWait() const {
  for (const Guard* other = before_; other != nullptr; other = other->before_) {
    if (other->first_ < end_ && first_ < other->end_) return true;
  }
  return false;
}

}  // namespace copse
