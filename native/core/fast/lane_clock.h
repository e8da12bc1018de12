// The clock of lanes, which measures latencies and ends leases (answer_lease.h).
//
// CLOCK_BOOTTIME goes on while the host is suspended. The vDSO answers it like CLOCK_MONOTONIC,
// without a system call (vdso(7); Linux 5.3 and later).
#pragma once

#include <time.h>

#include <cstdint>

namespace copse {

inline uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace copse
