#include "lane_gather.h"

#include <time.h>

#include <algorithm>
#include <optional>

#include "../lane_clock.h"
#include "../socket_info.h"

namespace copse {

namespace {

// A larger reply is copied by the client while the lane copies the next one, which is worth more
// than a wakeup.
constexpr uint64_t kMostGatheredBytes = 8 << 10;
// More requests than this are a batch as they are.
constexpr size_t kGatheredRequests = 8;
// Bytes that a client reads in 1 ns at most. No client reads, handles and asks again faster than 3
// bytes of a reply in 1 ns, which is 4 KiB in 1.4 µs; fio takes about 10 µs. Over a unix socket a
// reply of 4 KiB counts for the 8 KiB of its buffer.
constexpr uint64_t kUnixBytesInNs = 4, kTcpBytesInNs = 3;
// A shorter sleep costs more than it saves; a longer one gathers no more.
constexpr long kLeastSleepNs = 8'000, kMostSleepNs = 60'000;
// A sleep that took this long was late: timers are coarse, or the processor was busy.
constexpr uint64_t kLateNs = 500'000;
// After kVainLooks looks in a row that gained nothing, only each kTimesForLook-th call looks. A
// look costs a client that waits for each reply 3 % of its reads.
constexpr unsigned kVainLooks = 16, kTimesForLook = 16;
// Each look takes this part of the difference from the largest window.
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

void LaneGather::Gather(LaneInput* input, ReplyMode replies) {
  const size_t header_bytes = RequestHeaderBytes(replies);
  if (input->size() < header_bytes || input->size() > kGatheredRequests * header_bytes) return;
  Request request;
  if (!ParseRequest(input->data(), replies, &request) || !IsPlainRead(request, replies)) return;
  if (request.length <= kMostGatheredBytes && Sleep()) Woke(input->ReceiveNow());
}

}  // namespace copse
