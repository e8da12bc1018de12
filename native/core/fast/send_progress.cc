#include "send_progress.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstddef>

namespace copse {

namespace {

// A number that changes when the client takes something: over TCP what it has acknowledged, else what the socket still has, where another send may put back just as much.
uint64_t TakenBy(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && size >= offsetof(tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked)) {
    return info.tcpi_bytes_acked;
  }
  int waiting = 0;
  ioctl(fd, SIOCOUTQ, &waiting);
  return static_cast<uint64_t>(waiting);
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
