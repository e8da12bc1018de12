// The files that a lane may answer from at this moment, and the uses of earlier ones that go on.
//
// A thread that answers enters, uses the source, and leaves. The host replaces the source without
// waiting for any use: Replace says whether uses of earlier sources are left, and the last of them
// to leave says so in turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "../mutex.h"
#include "range_source.h"
#include "thread_role.h"

namespace copse {

class LaneGrant {
 public:
  struct Use {
    std::shared_ptr<RangeSource> source;
    bool writable = false;
    // The turn_ at which the use began.
    uint64_t turn = 0;
  };

  // True: nothing that was granted before is in use. False: a Leave will return true.
  bool Replace(std::shared_ptr<RangeSource> source, bool writable) REQUIRES(kHostThread) EXCLUDES(mutex_);
  bool IsQuiet() EXCLUDES(mutex_);

  // False: nothing is granted.
  bool Enter(Use* use) EXCLUDES(mutex_);
  // True if nothing was granted since the use began.
  bool IsCurrent(const Use& use) const {
    return turn_.load(std::memory_order_acquire) == use.turn;
  }
  // True: this was the last use of what was granted before, and the host waits to hear of it.
  bool Leave(Use* use) EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::shared_ptr<RangeSource> source_ GUARDED_BY(mutex_);
  bool writable_ GUARDED_BY(mutex_) = false;
  // Grows with each grant. Written under the mutex, read without it by IsCurrent.
  std::atomic<uint64_t> turn_{1};
  // Uses of the present source.
  size_t users_ GUARDED_BY(mutex_) = 0;
  // Uses of earlier sources.
  size_t old_users_ GUARDED_BY(mutex_) = 0;
};

}  // namespace copse
