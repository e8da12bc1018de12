// Exclusive locks over ranges of blocks, held inside one call by one thread. Those who overlap get it in the order in which they came, so nobody
// starves; those who don't never wait for each other. Few are held or wanted at a time (the pool's threads), so a list is searched.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace copse {

class RangeLock {
 public:
  // How many wait just now.
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
  // All under the mutex: those who hold or want a range, in the order in which they came, and how many of them wait.
  Guard* last_ = nullptr;
  unsigned waiting_ = 0;
};

}  // namespace copse
