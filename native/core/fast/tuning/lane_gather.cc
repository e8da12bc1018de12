#include "lane_gather.h"

#include <time.h>

#include <algorithm>
#include <optional>

#include "../lane_clock.h"
#include "../socket_info.h"

namespace copse {

namespace {

// No client reads, handles and asks again faster than 3 bytes of a reply in a nanosecond, 4 KiB in 1.4 µs: fio takes about 10 µs. Over a unix socket a reply of 4 KiB counts for the 8 KiB of its buffer.
constexpr uint64_t kUnixBytesInNs = 4, kTcpBytesInNs = 3;
// A shorter sleep costs more than it saves; a longer one gathers no more.
constexpr long kLeastSleepNs = 8'000, kMostSleepNs = 60'000;
// Where timers are coarse, or the processor is not to be had, the client may have waited.
constexpr uint64_t kLateNs = 500'000;
// After so many looks in a row that gained nothing, one time in so many is looked: a look costs a client that waits for each reply 3 % of its reads.
constexpr unsigned kVainLooks = 16, kTimesForLook = 16;
// By what part of the difference the largest window fades with each look.
constexpr uint32_t kWindowFade = 64;

}  // namespace

LaneGather::LaneGather(int fd) : fd_(fd), unix_(IsUnixSocket(fd)) {}

long LaneGather::ReadingNs() {
  if (unix_) return static_cast<long>(QueuedBytes(fd_).value_or(0) / kUnixBytesInNs);
  const std::optional<uint32_t> window = AnnouncedWindow(fd_);
  if (!window) return 0;
  if (*window >= whole_window_) {
    whole_window_ = *window;
    return 0;
  }
  const uint32_t unread_bytes = whole_window_ - *window;
  whole_window_ -= unread_bytes / kWindowFade;
  return static_cast<long>(unread_bytes / kTcpBytesInNs);
}

bool LaneGather::Sleep() {
  if (vain_looks_ >= kVainLooks && ++unlooked_ % kTimesForLook != 0) return false;
  const long ns = std::min(ReadingNs(), kMostSleepNs);
  vain_looks_ += 1;
  if (ns < kLeastSleepNs) return false;
  const timespec sleep{0, ns};
  const uint64_t start_ns = NowNs();
  nanosleep(&sleep, nullptr);
  late_ = NowNs() - start_ns >= kLateNs;
  return true;
}

}  // namespace copse
