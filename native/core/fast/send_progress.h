// Tells if the client keeps a lane from letting go of the files: the lane is sending to it from
// them, and it has taken nothing for a while.
#pragma once

#include <atomic>
#include <cstdint>

namespace copse {

class SendProgress {
 public:
  // The lane's thread: between them it sends while what was granted is in use.
  void Begin() { sending_.store(true, std::memory_order_relaxed); }
  void End() {
    sent_.fetch_add(1, std::memory_order_relaxed);
    sending_.store(false, std::memory_order_relaxed);
  }
  // Some of it has left.
  void Moved() { sent_.fetch_add(1, std::memory_order_relaxed); }

  // One other thread. True: since the last call it was sending the same, the client took nothing,
  // and the socket `fd` has no room. So a slow disk is not the client's fault.
  bool IsStalled(int fd);

 private:
  std::atomic<bool> sending_{false};
  std::atomic<uint64_t> sent_{0};
  // By the last call.
  bool was_sending_ = false;
  uint64_t last_sent_ = 0;
  uint64_t last_taken_ = 0;
};

}  // namespace copse
