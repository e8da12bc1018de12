// Socket options of a lane's connection that change its speed, never its bytes.
#pragma once

namespace copse {

// For a connected unix or TCP socket. `send_buffer_bytes`: SO_SNDBUF of a unix socket. An option
// that the kernel refuses stays as it was.
void MarkSocket(int fd, int send_buffer_bytes);

}  // namespace copse
