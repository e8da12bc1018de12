// The range lock by itself: who waits for whom, whatever the threads' timing. Prints what was seen; a hang is ended by the test.
#include "../../native/core/range_lock.h"

#include <sched.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

using copse::RangeLock;

static RangeLock range_lock;

// A thread that wants a range, says when it has it, and keeps it until it is told.
class Holder {
 public:
  Holder(uint64_t first, uint64_t end)
      : thread_([this, first, end] {
          const RangeLock::Guard guard(range_lock, first, end);
          has_ = true;
          while (!let_go_) sched_yield();
        }) {}
  // Whether it has the range, once that is known: it has it, or as many as `waiting` wait.
  bool HasOr(unsigned waiting) const {
    while (!has_ && range_lock.waiting_count() < waiting) sched_yield();
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

static void Turns() {
  Holder first(10, 20);
  first.Await();
  Holder apart(20, 30);
  std::printf("apart %d\n", apart.HasOr(1));
  Holder over(15, 25);
  std::printf("over %d\n", over.HasOr(1));
  // Nobody has 22 to 24 but `apart`, which goes; `over` came first.
  apart.End();
  Holder behind(22, 40);
  std::printf("behind %d\n", behind.HasOr(2));
  Holder free(0, 10);
  std::printf("free %d\n", free.HasOr(3));
  free.End();
  first.End();
  over.Await();
  std::printf("behind still %d\n", behind.HasOr(1));
  over.End();
  behind.Await();
  behind.End();
  std::printf("waiting %u\n", range_lock.waiting_count());
}

// Counters that only the lock protects.
static void Exclusion() {
  constexpr uint64_t kBlocks = 16, kRounds = 20000;
  std::vector<uint64_t> counts(kBlocks, 0);
  std::vector<std::thread> threads;
  uint64_t wanted = 0;
  for (uint64_t thread = 0; thread < 4; thread += 1) {
    for (uint64_t round = 0; round < kRounds; round += 1) wanted += 1 + (round + thread) % 5;
    threads.emplace_back([thread, &counts] {
      for (uint64_t round = 0; round < kRounds; round += 1) {
        const uint64_t first = (round * 7 + thread * 3) % (kBlocks - 5), end = first + 1 + (round + thread) % 5;
        const RangeLock::Guard guard(range_lock, first, end);
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
  std::printf("lost %llu\n", static_cast<unsigned long long>(wanted - sum));
}

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Turns();
  Exclusion();
  return 0;
}
