// Socket options of a connection that TypeScript asks for.
#pragma once

#include <cstdint>

#include "status.h"

namespace copse {

// Bytes that were sent and not acknowledged, or that wait for a window, end the connection after
// this time (TCP_USER_TIMEOUT, tcp(7)). 0: the kernel's own rule. EOPNOTSUPP for what is no TCP
// socket.
Status SetUserTimeout(int descriptor, uint32_t timeout_ms);

}  // namespace copse
