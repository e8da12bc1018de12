#include "send_progress.h"

#include <poll.h>

#include "socket_info.h"

namespace copse {

namespace {

// A number that changes when the client takes something: over TCP what it has acknowledged, else
// what the socket still has, where another send may put back just as much.
uint64_t TakenBy(int fd) {
  if (const auto bytes = AcknowledgedBytes(fd)) return *bytes;
  return QueuedBytes(fd).value_or(0);
}

bool HasRoom(int fd) {
  pollfd entry{fd, POLLOUT, 0};
  return poll(&entry, 1, 0) > 0;
}

}  // namespace

bool SendProgress::IsStalled(int fd) {
  const bool sending = sending_.load(std::memory_order_relaxed);
  const uint64_t sent = sent_.load(std::memory_order_relaxed), taken = TakenBy(fd);
  const bool same = sending && was_sending_ && sent == last_sent_ && taken == last_taken_;
  was_sending_ = sending;
  last_sent_ = sent;
  last_taken_ = taken;
  return same && !HasRoom(fd);
}

}  // namespace copse
