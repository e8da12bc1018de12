#include "lane_counter.h"

#include <algorithm>

namespace copse {

namespace {

void Add(LaneCounters::Counter& counter, uint64_t value) { counter.fetch_add(value, std::memory_order_relaxed); }

size_t BucketOf(uint64_t ns) {
  const uint64_t us = ns / 1000 + (ns % 1000 != 0 ? 1 : 0);
  if (us <= 1) return 0;
  return std::min<size_t>(64 - static_cast<size_t>(__builtin_clzll(us - 1)), LaneCounters::kBuckets - 1);
}

}  // namespace

void LaneCounters::ObserveRead(uint64_t ns, uint64_t times) {
  Add(reads, times);
  Add(read_ns, ns * times);
  Add(read_latency[BucketOf(ns)], times);
}

void LaneCounters::ObserveWrite(uint64_t ns, uint64_t times) {
  Add(writes, times);
  Add(write_ns, ns * times);
  Add(write_latency[BucketOf(ns)], times);
}

}  // namespace copse
