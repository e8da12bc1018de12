#include "socket_info.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstddef>

namespace copse {

namespace {

// An older kernel gives fewer fields. `end`: of the one that is wanted.
bool ReadTcpInfo(int fd, size_t end, tcp_info* info) {
  socklen_t size = sizeof(*info);
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) == 0 && size >= end;
}

}  // namespace

bool IsUnixSocket(int fd) {
  int domain = 0;
  socklen_t size = sizeof(domain);
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

std::optional<uint64_t> QueuedBytes(int fd) {
  int bytes = 0;
  if (ioctl(fd, SIOCOUTQ, &bytes) != 0) return {};
  return static_cast<uint64_t>(bytes);
}

std::optional<uint64_t> AcknowledgedBytes(int fd) {
  tcp_info info{};
  if (!ReadTcpInfo(fd, offsetof(tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked), &info)) return {};
  return info.tcpi_bytes_acked;
}

std::optional<uint32_t> AnnouncedWindow(int fd) {
  tcp_info info{};
  if (!ReadTcpInfo(fd, offsetof(tcp_info, tcpi_snd_wnd) + sizeof(info.tcpi_snd_wnd), &info)) return {};
  return info.tcpi_snd_wnd;
}

}  // namespace copse
