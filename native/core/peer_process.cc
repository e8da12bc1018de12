#include "peer_process.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "peer_credentials.h"

// Debian 12's headers know neither; both numbers are the same on x86_64 and arm64.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

namespace copse {

Status OpenPeerProcess(int descriptor, int* pidfd) {
  // Refuses a socket of another kind, too, for which the kernel would make credentials up.
  PeerCredentials credentials{};
  if (const Status status = GetPeerCredentials(descriptor, &credentials); !status.ok()) return status;
  int opened = -1;
  socklen_t size = sizeof(opened);
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERPIDFD, &opened, &size) == 0) {
    *pidfd = opened;
    return {};
  }
  // Any other error is about the process. A pidfd by number could be of another one by now.
  if (errno != ENOPROTOOPT) return {errno == EINVAL ? ESRCH : errno, "getsockopt"};
  if (credentials.pid <= 0) return {ESRCH, "pidfd_open"};
  opened = static_cast<int>(syscall(SYS_pidfd_open, credentials.pid, 0));
  if (opened < 0) return {errno, "pidfd_open"};
  *pidfd = opened;
  return {};
}

Status HasProcessEnded(int pidfd, bool* ended) {
  pollfd poll_entry{pidfd, POLLIN, 0};
  int count;
  do {
    count = poll(&poll_entry, 1, 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return {errno, "poll"};
  if ((poll_entry.revents & POLLNVAL) != 0) return {EBADF, "poll"};
  *ended = count > 0;
  return {};
}

}  // namespace copse
