// What a lane may answer from just now, and who still uses what it might answer from before.
//
// Those who answer enter, use, and leave. A grant replaces what was granted, and never waits for them: it says whether any are left, and when the last one leaves, that is told.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "range_source.h"

namespace copse {

class LaneGrant {
 public:
  struct Use {
    std::shared_ptr<RangeSource> source;
    bool writable = false;
    uint64_t turn = 0;
  };

  // True: nothing of what was granted before is in use. False: Leave will say so.
  bool Replace(std::shared_ptr<RangeSource> source, bool writable);
  bool IsQuiet();

  // False: nothing is granted.
  bool Enter(Use* use);
  // Whether nothing was granted since.
  bool IsCurrent(const Use& use) const { return turn_.load(std::memory_order_acquire) == use.turn; }
  // True: it was the last one that used what was replaced, and somebody wants to know.
  bool Leave(Use* use);

 private:
  std::mutex mutex_;
  std::shared_ptr<RangeSource> source_;
  bool writable_ = false;
  std::atomic<uint64_t> turn_{1};
  size_t users_ = 0;      // of what is granted
  size_t old_users_ = 0;  // of what was
};

}  // namespace copse
