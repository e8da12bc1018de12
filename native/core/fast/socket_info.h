// The state of a connection and its other end, as the kernel knows it. Each function returns
// nothing where the kernel does not know.
#pragma once

#include <cstdint>
#include <optional>

namespace copse {

bool IsUnixSocket(int fd);

// SIOCOUTQ (unix(7), tcp(7)): over a unix socket what the client has not read, with the kernel's
// overhead; over TCP what it has not acknowledged. Bytes.
std::optional<uint64_t> QueuedBytes(int fd);

// TCP (TCP_INFO): bytes that the client has acknowledged, since the connection began.
std::optional<uint64_t> AcknowledgedBytes(int fd);
// How much the client would take just now, by what it sent last, bytes. Known from Linux 5.4 on.
std::optional<uint32_t> AnnouncedWindow(int fd);

}  // namespace copse
