// The process at the other end of a unix socket: its pid, user and group.
#pragma once

#include <cstdint>

#include "status.h"

namespace copse {

struct PeerCredentials {
  int32_t pid;  // 0 for a process of a pid namespace that this one can't see
  uint32_t uid;
  uint32_t gid;
};

// As they were when the peer connected (SO_PEERCRED, unix(7)). EOPNOTSUPP for a socket of another
// kind, for which the kernel would make some up.
Status GetPeerCredentials(int descriptor, PeerCredentials* credentials);

}  // namespace copse
