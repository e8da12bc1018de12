// The time until which this node may answer for one disk: a word of memory that the host moves on
// while it runs.
//
// A process that is stopped, or a host that is suspended, does not move it on. The word is in
// CLOCK_BOOTTIME, which goes on in suspend (clock_gettime(2)). So a lane that wakes before the host
// finds the word passed, and sends nothing that another node may have overtaken.
//
// Invariants: the host alone stores. A lost word stays lost. Any thread may look.
#pragma once

#include <atomic>
#include <cstdint>

#include "lane_clock.h"

namespace copse {

class AnswerLease {
 public:
  bool MayAnswer(uint64_t now_ns) const { return now_ns < until_ns_.load(std::memory_order_acquire); }
  bool MayAnswer() const { return MayAnswer(NowNs()); }
  // True if the disk has another owner: a reply that waits for the lease never leaves.
  bool IsLost() const { return until_ns_.load(std::memory_order_acquire) == kLost; }

  // Moves the word to `ns` from now. False: it had passed, and stays as it is.
  bool Extend(uint64_t ns) {
    const uint64_t now = NowNs(), until = until_ns_.load(std::memory_order_relaxed);
    if (now >= until) return false;
    if (until != kFree) until_ns_.store(now + ns, std::memory_order_release);
    return true;
  }
  // The same for a word that has passed.
  void Open(uint64_t ns) { Set(NowNs() + ns); }
  // Makes it pass now.
  void Close() { Set(kPassed); }
  // Ends the limit: the disk is no longer this node's to answer for, and each earlier answer was
  // right.
  void Free() { Set(kFree); }
  void Lose() { until_ns_.store(kLost, std::memory_order_release); }

 private:
  static constexpr uint64_t kLost = 0, kPassed = 1, kFree = UINT64_MAX;
  void Set(uint64_t until_ns) {
    const uint64_t until = until_ns_.load(std::memory_order_relaxed);
    if (until != kLost && until != kFree) until_ns_.store(until_ns, std::memory_order_release);
  }

  std::atomic<uint64_t> until_ns_{kPassed};
};

}  // namespace copse
