// The counters of a lane; each costs a relaxed addition. The lane's thread and cold reads write
// them, and any thread reads them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace copse {

struct LaneCounters {
  // Latency: count of reads at or below 2^i microseconds and above 2^(i-1), the last one beyond
  // 2^25: as LatencyHistogram in src/base/metric.ts.
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
  // Bytes of read_bytes that went out by sendfile(2).
  Counter file_bytes{0};
  // Connections (0 or 1) that were shut because a reply that had begun to leave could not be
  // completed: its chunk turned out rotten, or the file could not be read.
  Counter cut_replies{0};

  // From any thread. `times` of the same duration: from when a batch of requests was received, or a
  // cold read was begun, until its replies began to leave. What the client takes to read them is
  // its own affair. Also counts the reads (writes).
  void ObserveRead(uint64_t ns, uint64_t times);
  void ObserveWrite(uint64_t ns, uint64_t times);
};

}  // namespace copse
