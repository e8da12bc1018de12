#include "socket_mark.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

#include "../socket_info.h"

namespace copse {

namespace {

// TCP_NOTSENT_LOWAT: a send waits while this many bytes are unsent. Towards another host the
// network paces the connection. More unsent replies would only grow the queue between file and
// client, and they would have left the processor's caches when they are sent. Within a host more of
// them save wakeups: 256 KiB at depth 8 cost 39 µs with the smaller bound, 25 µs with the larger.
constexpr int kUnsentBytes = 64 << 10, kUnsentBytesOnHost = 1 << 20;

// A congestion control that every kernel has and lets every process choose.
constexpr char kUnpaced[] = "reno";

// True if both ends have one address.
bool StaysOnHost(int fd) {
  sockaddr_storage own{}, peer{};
  socklen_t own_size = sizeof(own), peer_size = sizeof(peer);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0) return false;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) return false;
  if (own.ss_family != peer.ss_family) return false;
  if (own.ss_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in&>(own).sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in&>(peer).sin_addr.s_addr;
  }
  return own.ss_family == AF_INET6 &&
         memcmp(&reinterpret_cast<const sockaddr_in6&>(own).sin6_addr,
                &reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr, sizeof(in6_addr)) == 0;
}

// A congestion control that paces (BBR) sets a timer for each piece. Within a host there is no
// network to spare, and it sends large replies at a quarter of the rate for four times the CPU
// (docs/decision/0012-unpaced-loopback.md).
void MarkTcp(int fd) {
  const bool on_host = StaysOnHost(fd);
  const int unsent_bytes = on_host ? kUnsentBytesOnHost : kUnsentBytes;
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof(unsent_bytes));
  if (on_host) setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kUnpaced, sizeof(kUnpaced) - 1);
}

}  // namespace

void MarkSocket(int fd, int send_buffer_bytes) {
  if (IsUnixSocket(fd)) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof(send_buffer_bytes));
  } else {
    MarkTcp(fd);
  }
}

}  // namespace copse
