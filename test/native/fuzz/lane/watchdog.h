// Ends the program with a message when it stands still: a thread that hangs must not look like a
// slow input.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace lane {

class Watchdog {
 public:
  // Below libFuzzer's own limit, which would not say where.
  static constexpr int kLimitS = 45;

  // Names the step that begins now; null: a step that can't hang.
  static void Watch(const char* phase) {
    static Watchdog* const dog = new Watchdog;
    dog->phase_.store(phase, std::memory_order_relaxed);
    dog->beats_.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  Watchdog() {
    std::thread([this] {
      uint64_t seen = 0;
      for (int seconds = 0;; seconds += 1) {
        sleep(1);
        const uint64_t beats = beats_.load(std::memory_order_relaxed);
        const char* const phase = phase_.load(std::memory_order_relaxed);
        if (beats != seen || phase == nullptr) seconds = 0;
        seen = beats;
        if (seconds < kLimitS) continue;
        std::fprintf(stderr, "hangs: %s\n", phase);
        std::abort();
      }
    }).detach();
  }

  std::atomic<const char*> phase_{nullptr};
  std::atomic<uint64_t> beats_{0};
};

}  // namespace lane
