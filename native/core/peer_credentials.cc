#include "peer_credentials.h"

#include <sys/socket.h>

#include <cerrno>

namespace copse {

Status GetPeerCredentials(int descriptor, PeerCredentials* credentials) {
  int domain = 0;
  socklen_t size = sizeof(domain);
  if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return {errno, "getsockopt"};
  if (domain != AF_UNIX) return {EOPNOTSUPP, "getsockopt"};
  ucred peer{};
  size = sizeof(peer);
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return {errno, "getsockopt"};
  *credentials = {peer.pid, peer.uid, peer.gid};
  return {};
}

}  // namespace copse
