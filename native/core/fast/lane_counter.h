// What a lane counts, at the cost of a relaxed addition each. Written by the lane's thread and by cold reads, read by anybody.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace copse {

struct LaneCounters {
  // Latency: count of reads at or below 2^i microseconds and above 2^(i-1), the last one beyond 2^25: as LatencyHistogram in src/base/metric.ts.
  static constexpr size_t kBuckets = 27;
  using Counter = std::atomic<uint64_t>;
  Counter reads{0};
  Counter read_bytes{0};
  Counter read_ns{0};
  std::array<Counter, kBuckets> read_latency{};
  Counter cold_reads{0};
  Counter writes{0};
  Counter written_bytes{0};
  Counter write_ns{0};
  std::array<Counter, kBuckets> write_latency{};
  // Requests that went up.
  Counter handed_up{0};

  // From any thread. `times` of the same duration.
  void ObserveRead(uint64_t ns, uint64_t times);
  void ObserveWrite(uint64_t ns, uint64_t times);
};

}  // namespace copse
