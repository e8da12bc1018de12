// Exclusive locks over ranges of blocks, held inside one call by one thread. Overlapping requests
// get the lock in the order in which they came, so none starves; others never wait for each other.
// Few are held or wanted at a time (the pool's threads), so a list is searched.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace copse {

class RangeLock {
 public:
  // Number of threads that wait at this moment.
  unsigned waiting_count();

  // Holds [first, end) from the end of its constructor to its destructor.
  class Guard {
   public:
    Guard(RangeLock& lock, uint64_t first, uint64_t end);
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard();

   private:
    friend class RangeLock;
    bool MustWait() const;
    RangeLock& lock_;
    const uint64_t first_, end_;
    Guard* before_ = nullptr;
    Guard* after_ = nullptr;
  };

 private:
  std::mutex mutex_;
  std::condition_variable released_;
  // Under the mutex: the ranges that are held or wanted, in the order in which they came, and the
  // number of threads that wait.
  Guard* last_ = nullptr;
  unsigned waiting_ = 0;
};

}  // namespace copse
