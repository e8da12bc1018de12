// Turns and exclusion of the range lock, whatever the threads' timing.
#include "../../native/core/range_lock.h"

#include <sched.h>

#include <atomic>
#include <thread>
#include <vector>

#include "check.h"

using copse::RangeLock;

namespace {

// A thread that wants a range, says when it has it, and keeps it until it is told.
class Holder {
 public:
  Holder(RangeLock& lock, uint64_t first, uint64_t end)
      : thread_([this, &lock, first, end] {
          const RangeLock::Guard guard(lock, first, end);
          has_ = true;
          while (!let_go_) sched_yield();
        }) {}
  // True if the thread has the range. Known once it has it, or `waiting` threads wait.
  bool HasOr(RangeLock& lock, unsigned waiting) const {
    while (!has_ && lock.waiting_count() < waiting) sched_yield();
    return has_;
  }
  void Await() const {
    while (!has_) sched_yield();
  }
  void End() {
    let_go_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> has_{false};
  std::atomic<bool> let_go_{false};
  std::thread thread_;
};

void Turns() {
  RangeLock lock;
  Holder first(lock, 10, 20);
  first.Await();
  Holder apart(lock, 20, 30);
  CHECK(apart.HasOr(lock, 1));
  Holder over(lock, 15, 25);
  CHECK(!over.HasOr(lock, 1));
  // Nobody has 22 to 24 but `apart`, which goes; `over` came first.
  apart.End();
  Holder behind(lock, 22, 40);
  CHECK(!behind.HasOr(lock, 2));
  Holder free(lock, 0, 10);
  CHECK(free.HasOr(lock, 3));
  free.End();
  first.End();
  over.Await();
  CHECK(!behind.HasOr(lock, 1));
  over.End();
  behind.Await();
  behind.End();
  CHECK_EQ(lock.waiting_count(), 0);
}

// Counters that only the lock protects: a lost turn is a lost count, and a race for
// ThreadSanitizer.
void Exclusion() {
  constexpr uint64_t kBlocks = 16, kRounds = 20000, kThreads = 4;
  RangeLock lock;
  std::vector<uint64_t> counts(kBlocks, 0);
  std::vector<std::thread> threads;
  uint64_t wanted = 0;
  for (uint64_t thread = 0; thread < kThreads; thread += 1) {
    for (uint64_t round = 0; round < kRounds; round += 1) wanted += 1 + (round + thread) % 5;
    threads.emplace_back([thread, &counts, &lock] {
      for (uint64_t round = 0; round < kRounds; round += 1) {
        const uint64_t first = (round * 7 + thread * 3) % (kBlocks - 5), end = first + 1 + (round + thread) % 5;
        const RangeLock::Guard guard(lock, first, end);
        for (uint64_t block = first; block < end; block += 1) {
          volatile uint64_t* const count = &counts[block];
          const uint64_t before = *count;
          if (round % 64 == 0) sched_yield();
          *count = before + 1;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  uint64_t sum = 0;
  for (const uint64_t count : counts) sum += count;
  CHECK_EQ(sum, wanted);
}

}  // namespace

int main() {
  Turns();
  Exclusion();
  return 0;
}
