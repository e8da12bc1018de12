#include "socket_option.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace copse {

Status SetUserTimeout(int descriptor, uint32_t timeout_ms) {
  int protocol = 0;
  socklen_t size = sizeof(protocol);
  if (getsockopt(descriptor, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0) return {errno, "getsockopt"};
  if (protocol != IPPROTO_TCP) return {EOPNOTSUPP, "setsockopt"};
  if (setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)) != 0) return {errno, "setsockopt"};
  return {};
}

}  // namespace copse
