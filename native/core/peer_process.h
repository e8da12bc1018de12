// A hold on the process at the other end of a unix socket: a pidfd, which never comes to mean
// another process.
#pragma once

#include "status.h"

namespace copse {

// Opens a pidfd of the process that connected the socket. The kernel gives it for the socket itself
// (SO_PEERPIDFD, Linux 6.5); an older kernel opens it by the number that SO_PEERCRED names
// (pidfd_open(2), Linux 5.3). ESRCH for a process that has gone, or whose number this pid namespace
// can't see. ENOSYS, EPERM where there are no pidfds.
Status OpenPeerProcess(int descriptor, int* pidfd);

// True if the process of a pidfd has ended; a zombie has.
Status HasProcessEnded(int pidfd, bool* ended);

}  // namespace copse
